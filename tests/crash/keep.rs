//! Retained messages, as a client without a past sees them.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::book::What;
use crate::session::{Session, number};
use crate::wire::{self, Link, Packet};
use crate::world::{PATIENCE, RETRY, World};

/// The last topic in order: when its value is there, all are.
const LAST: &str = "keep/~";

/// Sets the value that marks the end.
pub(crate) async fn mark(world: Arc<World>) {
    let mut session = Session::new("marker", "marker", false, &world.book);
    // It is open now, so every welcome sends it.
    session.publish(LAST, 1, 1, true, b"1 ".to_vec());
    while session.open() > 0 {
        let mut link = world.connect(&mut session).await;
        while let Some(packet) = link.next().await {
            session.handle(&packet);
            if session.open() == 0 {
                break;
            }
        }
    }
}

/// Looks at all retained messages, however often the gateway dies meanwhile.
pub(crate) async fn look(world: Arc<World>) {
    let attempts = async {
        while attempt(&world).await.is_none() {
            sleep(RETRY).await;
        }
    };
    if timeout(PATIENCE / 6, attempts).await.is_err() {
        world.book.wrong("looker", format!("the retained messages do not end with {LAST}"));
    }
}

async fn attempt(world: &World) -> Option<()> {
    let who = "looker".into();
    let mut link = Link::new(TcpStream::connect(world.address).await.ok()?, false);
    link.send(&wire::connect(false, "looker", 0)).await?;
    link.next().await?;
    world.book.write(&who, What::Looks, "", 0, String::new());
    link.send(&wire::subscribe(false, 1, "keep/#", 0)).await?;
    loop {
        let packet = link.next().await?;
        let Packet::Publish(publish) = packet else { continue };
        if publish.topic == LAST {
            world.book.write(&who, What::Looked, "", 0, String::new());
            return link.send(&wire::DISCONNECT).await;
        }
        if publish.retain {
            let number = number(&publish.payload).expect("a retained message is not empty");
            world.book.write(&who, What::Kept, &publish.topic, number, String::new());
        }
    }
}
