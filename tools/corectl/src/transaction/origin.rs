//! Where a change was made: the boot, the network namespace, and which card bore which name.
//!
//! **Invariants**: nothing is put back where it was not taken from. A card that has another name now is found by its number, after
//! a reboot by its hardware address; one that is gone is named, and not taken for one that is as before.
//!
//! **Source**: Linux, Documentation/ABI/testing/sysfs-class-net (`ifindex`, `address`); namespaces(7).

use serde::{Deserialize, Serialize};

use super::record::SavedSetting;
use super::{StateStore, TransactionError};
use crate::facts::boot_id;
use crate::host::HostAccess;

const NETWORK: &str = "/proc/self/ns/net";

/// By what a card is known when its name has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardIdentity {
    /// Its name when the change was made.
    pub name: String,
    /// Its number; it stays until the card is unplugged, at most until a reboot.
    pub index: String,
    /// Its hardware address.
    pub hardware_address: String,
}

impl CardIdentity {
    fn of(host: &dyn HostAccess, name: &str) -> Self {
        let text =
            |file: &str| host.read(&format!("/sys/class/net/{name}/{file}")).unwrap_or_default().trim().to_owned();
        CardIdentity { name: name.to_owned(), index: text("ifindex"), hardware_address: text("address") }
    }

    /// The same card among those of now. Its number says it for this boot; then a card of its name and hardware address, which
    /// got a new number with its driver; then the only one with its hardware address, which a bond shares with its members.
    fn find<'c>(&self, present: &'c [CardIdentity], is_this_boot: bool) -> Option<&'c CardIdentity> {
        if self.index.is_empty() && self.hardware_address.is_empty() {
            return present.iter().find(|found| found.name == self.name);
        }
        let by_index = present.iter().find(|found| is_this_boot && !self.index.is_empty() && found.index == self.index);
        let alike = || present.iter().filter(|found| found.hardware_address == self.hardware_address);
        let by_name = || alike().find(|found| found.name == self.name);
        let alone = || alike().next().filter(|_| !self.hardware_address.is_empty() && alike().count() == 1);
        by_index.or_else(by_name).or_else(alone)
    }
}

/// Where a change was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeOrigin {
    /// The boot.
    pub boot_id: String,
    /// The network namespace, such as `net:[4026531840]`; empty where the host does not say.
    pub network: String,
    /// The cards among its settings.
    pub cards: Vec<CardIdentity>,
}

impl ChangeOrigin {
    /// Here and now, for these settings.
    pub(super) fn here(host: &dyn HostAccess, settings: &[SavedSetting]) -> Self {
        let mut names: Vec<&str> = settings.iter().filter_map(|setting| setting.address.nic()).collect();
        names.sort_unstable();
        names.dedup();
        ChangeOrigin {
            boot_id: boot_id(host),
            network: host.link(NETWORK).unwrap_or_default(),
            cards: names.into_iter().map(|name| CardIdentity::of(host, name)).collect(),
        }
    }

    /// Whether the host was not booted since.
    #[must_use]
    pub fn is_this_boot(&self, host: &dyn HostAccess) -> bool {
        self.boot_id == boot_id(host)
    }

    /// Refuses to touch a change from another network namespace of the same boot: its settings are not those of this one.
    pub(super) fn check(&self, store: &StateStore<'_>) -> Result<(), TransactionError> {
        let here = store.host().link(NETWORK).unwrap_or_default();
        if here == self.network || self.network.is_empty() || here.is_empty() || !self.is_this_boot(store.host()) {
            return Ok(());
        }
        Err(TransactionError::Elsewhere { network: self.network.clone(), here, folder: store.folder().into() })
    }

    /// Settings with the names that their cards have now, and the names of cards that are gone.
    pub(super) fn located(
        &self,
        host: &dyn HostAccess,
        settings: Vec<SavedSetting>,
    ) -> (Vec<SavedSetting>, Vec<String>) {
        let is_this_boot = self.is_this_boot(host);
        let names = host.list("/sys/class/net").unwrap_or_default();
        let present: Vec<CardIdentity> = names.iter().map(|name| CardIdentity::of(host, name)).collect();
        let (mut located, mut gone) = (settings, Vec::new());
        for card in &self.cards {
            match card.find(&present, is_this_boot) {
                Some(found) if found.name == card.name => {}
                Some(found) => located.iter_mut().for_each(|setting| setting.rename_card(&card.name, &found.name)),
                None => {
                    located.retain(|setting| setting.address.nic() != Some(&card.name));
                    gone.push(card.name.clone());
                }
            }
        }
        (located, gone)
    }
}
