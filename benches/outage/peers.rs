//! The gateways under test, each with the settings under which it keeps most.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kit::machine::{Recipe, weir};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Weir,
    /// The whole database is written every 5 s.
    Mosquitto20,
    /// sqlite persistence, synchronous = full, flushed every second.
    Mosquitto21,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Weir => "weir",
            Self::Mosquitto20 => "mosquitto 2.0",
            Self::Mosquitto21 => "mosquitto 2.1",
        }
    }

    /// How it is started, as a gateway with its hub at `hub` and a bridge to `cloud`.
    pub(crate) fn recipe(self, hub: SocketAddr, cloud: SocketAddr, more: &Weir) -> Recipe {
        if self == Self::Weir {
            let more = more.clone();
            return weir(move |state| more.configuration(state, hub, cloud));
        }
        Box::new(move |scratch, state| {
            let config = scratch.join("mosquitto.conf");
            std::fs::write(&config, self.mosquitto(state, hub, cloud)).unwrap();
            let mut command = Command::new(self.program().unwrap());
            command.arg("-c").arg(config);
            command
        })
    }

    fn mosquitto(self, state: &Path, hub: SocketAddr, cloud: SocketAddr) -> String {
        let keep = match self {
            Self::Mosquitto21 => {
                let plugin = std::env::var("WEIR_BENCH_MOSQUITTO_21_SQLITE").unwrap_or_default();
                format!("global_plugin {plugin}\nplugin_opt_sync full\nplugin_opt_flush_period 1\n")
            }
            _ => "persistence true\nautosave_interval 5\n".into(),
        };
        format!(
            "listener {} {}\nallow_anonymous true\nuser root\npersistence_location {}/\n{keep}max_queued_messages 0\n\
             max_inflight_messages 256\nset_tcp_nodelay true\nlog_dest stderr\nconnection cloud\naddress {cloud}\n\
             topic bench/# out 1 \"\" site/\ncleansession false\nrestart_timeout 1\nkeepalive_interval 10\n\
             try_private false\nnotifications false\n",
            hub.port(),
            hub.ip(),
            state.display()
        )
    }

    fn program(self) -> Result<PathBuf, String> {
        match self {
            Self::Mosquitto20 => Ok(PathBuf::from("mosquitto")),
            Self::Mosquitto21 => {
                let path = std::env::var_os("WEIR_BENCH_MOSQUITTO_21");
                path.map(PathBuf::from).ok_or("it could not be had here".into())
            }
            Self::Weir => Err("it is not a mosquitto".into()),
        }
    }
}

/// The peers that can be run here; who cannot is told.
pub(crate) fn available() -> Vec<Kind> {
    let runs = |kind: &Kind| {
        let Ok(program) = kind.program() else { return *kind == Kind::Weir };
        let said = Command::new(program).arg("-h").output();
        said.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("mosquitto version"))
    };
    let (there, missing): (Vec<_>, Vec<_>) =
        [Kind::Weir, Kind::Mosquitto20, Kind::Mosquitto21].into_iter().partition(runs);
    missing.iter().for_each(|kind| println!("{} is left out: it cannot be run here", kind.name()));
    there
}

/// What a case asks of weir besides its defaults.
#[derive(Debug, Clone, Default)]
pub(crate) struct Weir {
    /// More lines of `[store]`.
    pub(crate) store: &'static str,
    /// More lines of `[[bridge]]`.
    pub(crate) bridge: &'static str,
    /// More lines of `[hub]`.
    pub(crate) hub: &'static str,
}

impl Weir {
    fn configuration(&self, state: &Path, hub: SocketAddr, cloud: SocketAddr) -> String {
        let Self { store, bridge, hub: limits } = self;
        format!(
            "[gateway]\nname = \"shed\"\nstate_dir = {state:?}\n[hub]\nlisten = [\"{hub}\"]\n{limits}\n\
             [store]\n{store}\n[[bridge]]\nname = \"cloud\"\nurl = \"mqtt://{cloud}\"\nclient_id = \"shed\"\n{bridge}\n\
             [[bridge.forward]]\ntopics = [\"bench/alarm/#\"]\nprefix = \"site/\"\nclass = \"alarm\"\n\
             [[bridge.forward]]\ntopics = [\"bench/#\"]\nprefix = \"site/\"\n"
        )
    }
}
