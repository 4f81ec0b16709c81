//! Congestion control and flow control (proposal 324): round trips, windows, SENDMEs, XON and XOFF.
