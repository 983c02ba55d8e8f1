//! Records after the handshake, opened and sealed in place.
