//! What a client's packets do.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::super::codec::{self, Ack, Notice, Packet, Reason, Version};
use super::super::session::{Answer, Known};
use super::wire::Input;
use super::{Connection, End};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Handles every whole packet that was received, unless the hub holds the client back.
    pub(super) fn handle_received(&mut self) -> Result<(), End> {
        // The buffer leaves the connection for a moment, so that packets can borrow from it.
        let mut input = self.wire.lend_input();
        let before = self.moved.packets_in;
        let result = self.handle_each(&mut input);
        // Only whole packets count for the keep-alive (3.1.1: MQTT-3.1.2-24, 5.0: MQTT-3.1.2-22).
        if self.moved.packets_in > before {
            self.heard = Instant::now();
        }
        self.wire.return_input(input);
        result
    }

    fn handle_each(&mut self, input: &mut Input) -> Result<(), End> {
        let limit = self.settings.limits.packet_size;
        while self.may_read() && !self.is_pressing() {
            let Some((packet, size)) = codec::decode(input.received(), self.profile.version, limit)? else { break };
            if self.must_wait(&packet) {
                self.starved = Some(Instant::now());
                break;
            }
            self.moved.packets_in += 1;
            self.handle(packet)?;
            input.consume(size);
            self.check_said()?;
        }
        Ok(())
    }

    fn handle(&mut self, packet: Packet<'_>) -> Result<(), End> {
        match packet {
            Packet::Publish(publish) => self.publish(&publish),
            Packet::Puback(ack) => self.puback(&ack),
            Packet::Pubrec(ack) => self.pubrec(&ack),
            Packet::Pubrel(ack) => self.pubrel(&ack),
            Packet::Pubcomp(ack) => self.pubcomp(&ack),
            Packet::Subscribe(subscribe) => self.subscribe(&subscribe),
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(&unsubscribe),
            Packet::Pingreq => {
                self.send(&Packet::Pingresp);
                Ok(())
            }
            Packet::Disconnect(notice) => Err(self.disconnect(&notice)),
            Packet::Connect(_) => Err(End::Closed(Reason::PROTOCOL_ERROR, "a second CONNECT")),
            Packet::Auth(_) => Err(End::Closed(Reason::PROTOCOL_ERROR, "AUTH without an authentication method")),
            Packet::Connack(_) | Packet::Suback(_) | Packet::Unsuback(_) | Packet::Pingresp => {
                Err(End::Closed(Reason::PROTOCOL_ERROR, "a packet that only servers send"))
            }
        }
    }

    pub(super) fn is_v5(&self) -> bool {
        self.profile.version == Version::V5
    }

    /// Sends a packet, unless it is larger than the client takes: then nothing is sent, and the connection ends
    /// after this work, because the client would wait for the answer for ever (MQTT-3.1.2-24).
    pub(super) fn send(&mut self, packet: &Packet<'_>) {
        self.unsaid |= !self.write(packet);
    }

    /// Fails when an answer was too large.
    pub(super) fn check_said(&self) -> Result<(), End> {
        let silent = End::Closed(Reason::PACKET_TOO_LARGE, "an answer is larger than the client takes");
        if self.unsaid { Err(silent) } else { Ok(()) }
    }

    /// False, and nothing is sent, when `packet` is larger than the client takes.
    pub(super) fn write(&mut self, packet: &Packet<'_>) -> bool {
        let before = self.wire.output().len();
        packet.encode(self.profile.version, self.wire.output());
        let fits = self.wire.output().len() - before <= self.profile.max_packet;
        if fits {
            self.moved.packets_out += 1;
        } else {
            self.wire.output().truncate(before);
        }
        fits
    }

    fn puback(&mut self, ack: &Ack<'_>) -> Result<(), End> {
        // One that nobody waits for is no error: the session may have been cleaned.
        self.session()?.acknowledged(ack.packet_id);
        Ok(())
    }

    fn pubrec(&mut self, ack: &Ack<'_>) -> Result<(), End> {
        let refused = ack.reason.is_error();
        let answer = self.session()?.received_by_client(ack.packet_id, refused);
        match answer {
            Answer::Now(Known::Yes) if refused => {}
            Answer::Now(known) => self.send(&Packet::Pubrel(Ack::new(ack.packet_id, reason_of(known)))),
            Answer::When(receipt) => self.owe(&Packet::Pubrel(Ack::new(ack.packet_id, Reason::SUCCESS)), receipt),
            Answer::UnderWay => {}
        }
        Ok(())
    }

    fn pubrel(&mut self, ack: &Ack<'_>) -> Result<(), End> {
        let answer = self.session()?.released_by_client(ack.packet_id);
        match answer {
            Answer::Now(known) => self.send(&Packet::Pubcomp(Ack::new(ack.packet_id, reason_of(known)))),
            Answer::When(receipt) => self.owe(&Packet::Pubcomp(Ack::new(ack.packet_id, Reason::SUCCESS)), receipt),
            Answer::UnderWay => {}
        }
        Ok(())
    }

    fn pubcomp(&mut self, ack: &Ack<'_>) -> Result<(), End> {
        self.session()?.completed(ack.packet_id);
        Ok(())
    }

    /// DISCONNECT: how the connection ends.
    fn disconnect(&mut self, notice: &Notice<'_>) -> End {
        if let Some(seconds) = notice.properties.as_ref().and_then(|it| it.session_expiry_s) {
            // It cannot grow from zero (MQTT-3.14.2-2).
            if self.profile.expiry.is_zero() && seconds > 0 {
                return End::Closed(Reason::PROTOCOL_ERROR, "DISCONNECT gives life to a session that had none");
            }
            let expiry = Duration::from_secs(seconds.into()).min(self.settings.limits.session_expiry);
            if let Ok(mut session) = self.session() {
                session.expiry = expiry;
            }
        }
        if notice.reason == Reason::SUCCESS {
            self.will = None;
        }
        End::Left
    }
}

fn reason_of(known: Known) -> Reason {
    if known == Known::Yes { Reason::SUCCESS } else { Reason::PACKET_ID_NOT_FOUND }
}
