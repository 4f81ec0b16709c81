//! The hub: what the engines of one process share. The only thing in the library that more than one thread touches.
