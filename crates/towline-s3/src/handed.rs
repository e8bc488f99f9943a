//! Credentials that another process handed over for single transfers and groups.
//! They are in memory only, and go with the last that they were given for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use towline_core::{Connection, GroupId, TransferId};
use zeroize::Zeroizing;

use crate::client::S3Client;
use crate::credentials::Credentials;

/// The one form in which credentials leave a process: to another one of the
/// same user, that owns the state. Shown nowhere, and wiped when dropped.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandedOver {
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session_token: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for HandedOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HandedOver")
    }
}

impl From<&Credentials> for HandedOver {
    fn from(credentials: &Credentials) -> Self {
        let copy = |secret: &str| Zeroizing::new(secret.to_owned());
        Self {
            access_key_id: credentials.access_key_id.clone(),
            secret_access_key: copy(credentials.secret_access_key.expose()),
            session_token: credentials
                .session_token
                .as_ref()
                .map(|token| copy(token.expose())),
        }
    }
}

impl From<&HandedOver> for Credentials {
    fn from(handed: &HandedOver) -> Self {
        let credentials = Self::new(
            handed.access_key_id.as_str(),
            handed.secret_access_key.as_str(),
        );
        match &handed.session_token {
            Some(token) => credentials.with_session_token(token.as_str()),
            None => credentials,
        }
    }
}

/// What was handed over to this process.
#[derive(Default)]
pub(crate) struct Handed {
    sets: Vec<Set>,
}

/// Whom credentials were handed over for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    Transfer(TransferId),
    /// For its listing, and for the transfers that come of it.
    Group(GroupId),
}

/// Equal credentials, whom they are for, and their clients.
struct Set {
    credentials: Credentials,
    holders: HashSet<Holder>,
    clients: HashMap<Connection, Arc<S3Client>>,
}

impl Handed {
    /// Gives a transfer or group these credentials instead of any it had.
    pub(crate) fn give(&mut self, holder: Holder, credentials: &Credentials) {
        match self
            .sets
            .iter_mut()
            .find(|set| set.credentials == *credentials)
        {
            Some(set) => {
                set.holders.insert(holder);
            }
            None => self.sets.push(Set {
                credentials: credentials.clone(),
                holders: HashSet::from([holder]),
                clients: HashMap::new(),
            }),
        }
        self.take_back(holder, Some(credentials));
    }

    /// Gives a transfer what its group has, if that has any.
    pub(crate) fn hand_on(&mut self, group: GroupId, id: TransferId) {
        if let Some((credentials, _)) = self.of(Holder::Group(group)) {
            let credentials = credentials.clone();
            self.give(Holder::Transfer(id), &credentials);
        }
    }

    /// The transfer or group needs none any more.
    pub(crate) fn forget(&mut self, holder: Holder) {
        self.take_back(holder, None);
    }

    fn take_back(&mut self, holder: Holder, but: Option<&Credentials>) {
        self.sets.retain_mut(|set| {
            if but != Some(&set.credentials) {
                set.holders.remove(&holder);
            }
            !set.holders.is_empty()
        });
    }

    /// The credentials that are for this one, and the clients that have been made
    /// with them.
    pub(crate) fn of(
        &mut self,
        holder: Holder,
    ) -> Option<(&Credentials, &mut HashMap<Connection, Arc<S3Client>>)> {
        let mut sets = self.sets.iter_mut();
        let set = sets.find(|set| set.holders.contains(&holder))?;
        Some((&set.credentials, &mut set.clients))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_with_the_last_transfer_they_were_given_for() {
        let (one, other) = (Credentials::new("a", "1"), Credentials::new("b", "2"));
        let [first, second] = [1, 2].map(|id| Holder::Transfer(TransferId::new(id)));
        let mut handed = Handed::default();
        handed.give(first, &one);
        handed.give(second, &one);
        assert_eq!(handed.of(first).unwrap().0, &one);
        handed.give(first, &other);
        assert_eq!(handed.of(first).unwrap().0, &other);
        assert_eq!(handed.of(second).unwrap().0, &one);
        handed.forget(second);
        handed.forget(first);
        assert!(handed.sets.is_empty() && handed.of(first).is_none());
    }

    #[test]
    fn the_transfers_of_a_group_have_what_it_has_and_keep_it_when_the_group_has_ended() {
        let (one, other) = (Credentials::new("a", "1"), Credentials::new("b", "2"));
        let (group, id) = (GroupId::new(1), TransferId::new(1));
        let mut handed = Handed::default();
        handed.hand_on(group, id);
        assert!(handed.sets.is_empty(), "it has none");
        handed.give(Holder::Group(group), &one);
        handed.hand_on(group, id);
        handed.give(Holder::Group(group), &other);
        assert_eq!(handed.of(Holder::Transfer(id)).unwrap().0, &one);
        handed.forget(Holder::Group(group));
        assert_eq!(handed.of(Holder::Transfer(id)).unwrap().0, &one);
        handed.forget(Holder::Transfer(id));
        assert!(handed.sets.is_empty());
    }

    #[test]
    fn what_is_handed_over_arrives_and_is_in_no_debug_output() {
        let sent = Credentials::new("AKID", "canary-secret").with_session_token("canary-token");
        let wire = serde_json::to_string(&HandedOver::from(&sent)).unwrap();
        let arrived: HandedOver = serde_json::from_str(&wire).unwrap();
        assert_eq!(Credentials::from(&arrived), sent);
        assert!(!format!("{arrived:?}").contains("canary"));
    }
}
