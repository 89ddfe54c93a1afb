//! The other end of the control socket.

use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::config::Sources;
use crate::gateway::control::{Answer, Request, socket_path};
use crate::plan;

/// Where the service listens.
const SERVICE: &str = "/run/weir/control";

/// Which gateway to talk to.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// Configuration file of the gateway, to find its control socket
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Control socket of the gateway [default: that of the service]
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
}

impl Target {
    pub(super) fn new(config: Option<PathBuf>, socket: Option<PathBuf>) -> Self {
        Self { config, socket }
    }

    fn path(&self) -> anyhow::Result<PathBuf> {
        if let Some(socket) = &self.socket {
            return Ok(socket.clone());
        }
        match &self.config {
            // A configuration that went bad meanwhile still says where the gateway is.
            Some(config) => Ok(socket_path(&plan::state_dir_of(&Sources::read(config)?))),
            None => Ok(PathBuf::from(SERVICE)),
        }
    }

    /// Where the gateway may listen that keeps its state in `state_dir`.
    pub(super) fn candidates(config: Option<&Path>, state_dir: &Path) -> Vec<Self> {
        let of_config = config.map(|config| Self { config: Some(config.to_owned()), socket: None });
        let beside = Self { config: None, socket: Some(socket_path(state_dir)) };
        let service = Self { config: None, socket: Some(PathBuf::from(SERVICE)) };
        of_config.into_iter().chain([beside, service]).collect()
    }

    /// Whether a gateway listens there. What is there and does not let us in is an error.
    pub(super) fn is_reachable(&self) -> anyhow::Result<bool> {
        let path = self.path()?;
        match UnixStream::connect(&path) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot reach the gateway at {}", path.display())),
        }
    }

    /// The configuration of the gateway, unless it was named by its socket.
    pub(super) fn configuration(&self) -> Option<PathBuf> {
        let usual = || self.socket.is_none().then(|| PathBuf::from(plan::DEFAULT_PATH));
        self.config.clone().or_else(usual)
    }

    /// Sends `request`; the answers come one by one.
    pub(super) fn ask(
        &self,
        request: &Request,
    ) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Answer>> + use<>> {
        let path = self.path()?;
        let stream = UnixStream::connect(&path);
        let mut stream = stream.with_context(|| {
            let hint = "is the gateway running? name it with --config FILE or --socket PATH";
            format!("cannot reach a gateway at {}: {hint}", path.display())
        })?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        Ok(BufReader::new(stream).lines().map(|line| Ok(serde_json::from_str(&line?)?)))
    }

    /// Sends `request` and takes its only answer.
    pub(super) fn ask_once(&self, request: &Request) -> anyhow::Result<Answer> {
        match self.ask(request)?.next() {
            Some(Ok(Answer::Error { error })) => bail!(error),
            Some(answer) => answer,
            None => bail!("the gateway closed the connection without an answer"),
        }
    }
}
