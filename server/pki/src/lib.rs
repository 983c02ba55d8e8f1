//! A cluster's own certificate authority.
