//! What a bridge has done since the start, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// Makes the counters and what one reads from them.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident)+) => {
        /// Counters of one bridge since the start.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)+
        }

        /// The counters while they count.
        #[derive(Debug, Default)]
        pub(super) struct Tally {
            $(pub(super) $name: Count,)+
        }

        impl Tally {
            /// All of them now.
            pub(super) fn read(&self) -> Counters {
                Counters { $($name: self.$name.read(),)+ }
            }
        }
    };
}

counters! {
    /// Messages taken into the store.
    taken
    /// Messages that the store did not take.
    refused_by_store
    /// Publishes sent, repeats included.
    sent
    /// Publishes sent a second time or more often.
    repeated
    /// Publishes that carried a batch of records.
    batches
    /// Records acknowledged by the cloud, or written at QoS 0.
    delivered
    /// Publishes that the cloud answered with an error.
    refused
    /// Records given up because the cloud refuses them for good, or because they are damaged.
    set_aside
    /// Records that expired before they could be sent.
    expired
    /// Messages from the cloud that were handed to the hub.
    received
    /// Messages from the cloud that no rule lets in.
    not_let_in
    /// Messages that have been at this gateway before, or have passed too many: they go no further.
    circling
    /// Messages from the cloud that a consumer here refused.
    refused_here
    /// Subscriptions that the cloud refused.
    subscriptions_refused
    /// Sessions opened.
    connects
}

/// One counter.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    /// One more.
    pub(super) fn one(&self) {
        self.add(1);
    }

    /// `more` more.
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
