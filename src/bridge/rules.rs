//! Which message goes where, under which name: pure.
