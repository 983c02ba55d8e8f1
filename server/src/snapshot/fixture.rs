//! Snapshots for tests, from the text of a configuration file.

use std::path::Path;
use std::sync::Arc;

use control::reload::ConfigSource;

use super::Snapshot;
use crate::settings::EdgeSettings;

/// The snapshot that a configuration file of this text makes, without a topology.
pub(crate) fn snapshot(generation: u64, text: &'static str) -> Snapshot {
    let arguments = ["--config", "corelane.toml"].map(Into::into).into();
    let files = move |_: &Path| Ok(text.to_owned());
    let config = ConfigSource::<EdgeSettings>::new(arguments, Vec::new(), Box::new(files));
    Snapshot::new(generation, config.load_to_serve().expect("the settings are valid").settings, None, Arc::default())
}
