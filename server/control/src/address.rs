//! A listen address of the settings as the reactor names it.

use reactor::Address;

use crate::settings::ListenAddress;

impl From<&ListenAddress> for Address {
    fn from(address: &ListenAddress) -> Self {
        match address {
            ListenAddress::Tcp(address) => Self::Tcp(*address),
            ListenAddress::Unix(path) => Self::Unix(path.clone()),
        }
    }
}
