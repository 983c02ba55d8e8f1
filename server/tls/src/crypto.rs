//! What computes: the library in production, and one that a seed decides for the simulator.
