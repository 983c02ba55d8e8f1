//! Certificates, names and settings, as snapshots.
