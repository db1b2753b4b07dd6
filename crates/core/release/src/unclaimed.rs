//! Whose are the releases that were listed? Applications come later than the list, one by one, and each takes its own.

use crate::{Head, Listing, Refusal};
use model::AppKey;
use std::collections::BTreeMap;

/// Releases of Applications that have not taken theirs yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unclaimed {
    heads: BTreeMap<AppKey, Vec<Head>>,
    refused: Vec<Refusal>,
}

impl From<Listing> for Unclaimed {
    fn from(listing: Listing) -> Self {
        let mut heads: BTreeMap<AppKey, Vec<Head>> = BTreeMap::new();
        for head in listing.heads {
            heads.entry(head.record.app.clone()).or_default().push(head);
        }
        Self { heads, refused: listing.refused }
    }
}

impl Unclaimed {
    /// Takes out the releases of an Application, as [`Listing::of`] has them. They are given once; what only claims to be one
    /// of its is told each time.
    #[must_use]
    pub fn take(&mut self, app: &AppKey, uid: &str) -> Listing {
        let heads = self.heads.remove(app).unwrap_or_default();
        let refused = self.refused.iter().filter(|refusal| refusal.claims(app)).cloned().collect();
        Listing { heads, refused }.of(app, uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::tests::{key, record};
    use crate::{ROOM, Record, seal};

    fn listing(apps: &[(&str, u64)]) -> Listing {
        let mut listing = Listing::default();
        for (name, number) in apps {
            let record = Record { app: AppKey::new("argocd", *name), number: *number, ..record() };
            listing.add(&seal(&record, None, &key(), ROOM)[0], Some(&key()));
        }
        listing.sort();
        listing
    }

    #[test]
    fn each_app_takes_its_own_once_and_in_their_order() {
        let uid = record().app_uid;
        let mut unclaimed = Unclaimed::from(listing(&[("shop", 10), ("bank", 1), ("shop", 9)]));
        let mut numbers = |name: &str| {
            let own = unclaimed.take(&AppKey::new("argocd", name), &uid);
            own.heads.iter().map(|head| head.record.number).collect::<Vec<_>>()
        };
        assert_eq!([numbers("shop"), numbers("shop"), numbers("bank")], [vec![9, 10], vec![], vec![1]]);
    }

    #[test]
    fn what_is_of_an_earlier_app_of_the_name_is_refused() {
        let own = Unclaimed::from(listing(&[("shop", 1)])).take(&AppKey::new("argocd", "shop"), "another");
        assert_eq!((own.heads.len(), own.refused.len()), (0, 1));
    }
}
