//! Handshakes, of either side.
