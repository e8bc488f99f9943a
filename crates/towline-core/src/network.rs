//! What kind of network there is, and on which a transfer may go.

use serde::{Deserialize, Serialize};

/// Whether the bytes of the network in use cost money or count against a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkClass {
    /// Nobody tells. Taken for one that is not metered.
    #[default]
    Unknown,
    /// Not metered: Wi-Fi, a cable.
    Unmetered,
    /// Metered: a mobile network, a shared phone.
    Metered,
}

/// On which networks a transfer may go. On another one it waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkPolicy {
    /// On every one.
    #[default]
    Any,
    /// Only on one that is not metered.
    Unmetered,
    /// Only on a metered one.
    Metered,
}

impl NetworkPolicy {
    /// Whether a transfer may go on such a network.
    pub const fn allows(self, class: NetworkClass) -> bool {
        let metered = matches!(class, NetworkClass::Metered);
        match self {
            Self::Any => true,
            Self::Unmetered => !metered,
            Self::Metered => metered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_which_nothing_is_known_is_taken_for_an_unmetered_one() {
        use NetworkClass::*;
        let allowed =
            |policy: NetworkPolicy| [Unknown, Unmetered, Metered].map(|c| policy.allows(c));
        assert_eq!(allowed(NetworkPolicy::Any), [true; 3]);
        assert_eq!(allowed(NetworkPolicy::Unmetered), [true, true, false]);
        assert_eq!(allowed(NetworkPolicy::Metered), [false, false, true]);
    }
}
