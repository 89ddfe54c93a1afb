//! The journal against crashes and a model.
