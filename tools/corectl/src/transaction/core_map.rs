//! The map of cores with the numbers that interrupts have now.
//!
//! **Invariants**: only numbers of interrupts change: a driver gives new ones when its queues change, and at every boot.
//!
//! **Source**: docs/config.md, "The map of cores".

use control::core_map::CoreMap;

use super::record::SavedSetting;
use crate::host::HostAccess;
use crate::setting::vectors::queue_vectors;

/// The knob of the map.
pub(super) const KNOB: &str = "service.core_map";

/// Brings the map among some settings up to date. Whether it changed.
pub(super) fn refresh(host: &dyn HostAccess, settings: &mut [SavedSetting]) -> bool {
    let Some(setting) = settings.iter_mut().find(|setting| setting.knob == KNOB) else { return false };
    let Some(mut map) = setting.wanted.as_ref().and_then(|text| CoreMap::parse(KNOB, text).ok()) else { return false };
    for core in &mut map.cores {
        if let (Some(nic), Some(queue)) = (&core.interface, core.queue) {
            let vectors = queue_vectors(host, nic).into_iter().filter(|vector| vector.queue == queue);
            core.irqs = vectors.map(|vector| vector.irq).collect();
        }
    }
    let text = Some(map.to_toml());
    let is_changed = setting.wanted != text;
    setting.wanted = text;
    is_changed
}
