//! Steps that a test can leave out, to see that the proof misses them. Outside of tests none is ever left out.

/// A step on which a promise rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Comparing the checksum of a frame.
    FrameSum,
    /// Comparing the checksum of a header or a ledger.
    SealSum,
    /// A new epoch for each use of a segment.
    Epoch,
    /// The two positions of a partly filled block.
    Positions,
    /// The copy of the ledger that is on the disk for sure after the other one.
    SureCopy,
    /// The name of a replacement only when it is whole.
    Draft,
    /// Replaced segments only after their replacement.
    Order,
    /// The room that is kept free for a replacement.
    Room,
    /// The gap before the segment it speaks of is used again.
    Gap,
    /// Looking for breaks in the chain of frames.
    Links,
    /// What is given up together with the acknowledgement that passes it.
    Words,
}

/// Every step.
#[cfg(test)]
pub(crate) const STEPS: [Step; 11] = [
    Step::FrameSum,
    Step::SealSum,
    Step::Epoch,
    Step::Positions,
    Step::SureCopy,
    Step::Draft,
    Step::Order,
    Step::Room,
    Step::Gap,
    Step::Links,
    Step::Words,
];

#[cfg(test)]
thread_local! {
    static LEFT_OUT: std::cell::Cell<Option<Step>> = const { std::cell::Cell::new(None) };
}

/// Leaves a step out on this thread from now on.
#[cfg(test)]
pub(crate) fn leave_out(step: Option<Step>) {
    LEFT_OUT.set(step);
}

/// Whether a step is left out.
#[cfg(test)]
pub(crate) fn is_left_out(step: Step) -> bool {
    LEFT_OUT.get() == Some(step)
}

/// Whether a step is left out: never.
#[cfg(not(test))]
pub(crate) const fn is_left_out(_step: Step) -> bool {
    false
}
