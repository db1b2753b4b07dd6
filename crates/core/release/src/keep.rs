//! Which releases are kept, and which number has the next one?

use crate::{Head, Listing, Verdict};
use std::collections::BTreeSet;

/// How many stable releases keep their objects: the one to go back to, and the two before it.
pub const KEPT_PAYLOADS: usize = 3;

/// What is to be trimmed of an app's releases, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trim {
    /// Their objects go, their records stay.
    pub strip: Vec<u64>,
    /// They go whole.
    pub delete: Vec<u64>,
}

/// Returns the release to go back to: the newest that settled.
pub fn newest_stable(heads: &[Head]) -> Option<&Head> {
    stable(heads).next()
}

/// Decides what is trimmed of an app's releases, which are in order of their numbers. Objects are kept for the stable release
/// and the two before it; records up to `limit`, the newest ones, and none goes whose objects are kept.
pub fn trim(heads: &[Head], limit: usize) -> Trim {
    let kept: BTreeSet<u64> = stable(heads)
        .filter(|head| head.has_payload())
        .take(KEPT_PAYLOADS)
        .map(|head| head.record.number)
        .collect();
    let n_old = heads.len().saturating_sub(limit);
    let mut trim = Trim::default();
    for (n, head) in heads.iter().enumerate().filter(|(_, head)| !kept.contains(&head.record.number)) {
        if n < n_old {
            trim.delete.push(head.record.number);
        } else if head.has_payload() {
            trim.strip.push(head.record.number);
        }
    }
    trim
}

/// Returns the number of an app's next release: one more than the last, and none that a refused Secret holds.
pub fn next_number(of_app: &Listing) -> u64 {
    let last = of_app.heads.iter().map(|head| head.record.number).max().unwrap_or(0);
    let taken: BTreeSet<u64> = of_app.refused.iter().filter_map(|refusal| refusal.number).collect();
    let mut next = last.saturating_add(1);
    while taken.contains(&next) && next < u64::MAX {
        next += 1;
    }
    next
}

/// The stable ones, newest first.
fn stable(heads: &[Head]) -> impl Iterator<Item = &Head> {
    heads.iter().rev().filter(|head| head.record.verdict == Verdict::Stable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::tests::{key, objects, pack, record};
    use crate::{ROOM, Record, Refusal, open_head, seal};

    fn head(number: u64, verdict: Verdict, has_payload: bool) -> Head {
        let payload = pack(&objects(1));
        let record = Record { number, verdict, ..record() };
        open_head(&seal(&record, has_payload.then_some(&payload), &key(), ROOM)[0], Some(&key())).unwrap()
    }

    /// One letter per release: a capital has objects; `s` is stable, `f` failed.
    fn heads(letters: &str) -> Vec<Head> {
        let of = |(n, letter): (usize, char)| {
            let verdict = if letter.eq_ignore_ascii_case(&'s') { Verdict::Stable } else { Verdict::Failed };
            head(n as u64 + 1, verdict, letter.is_uppercase())
        };
        letters.chars().enumerate().map(of).collect()
    }

    #[test]
    fn objects_are_kept_for_three_stable_releases_and_records_up_to_the_limit() {
        for (letters, limit, strip, delete) in [
            ("", 10, &[][..], &[][..]),
            ("SSS", 10, &[], &[]),
            ("SSSS", 10, &[1], &[]),
            ("SFSFSFSF", 10, &[1, 2, 4, 6, 8], &[]),
            ("sssSSS", 4, &[], &[1, 2]),
            ("SfffffSf", 3, &[], &[2, 3, 4, 5]),
            ("SSSSS", 2, &[], &[1, 2]),
            ("SSS", 0, &[], &[]),
            ("ffF", 0, &[], &[1, 2, 3]),
        ] {
            let expected = Trim { strip: strip.to_vec(), delete: delete.to_vec() };
            assert_eq!(trim(&heads(letters), limit), expected, "{letters} with {limit}");
        }
    }

    #[test]
    fn what_is_trimmed_leaves_nothing_to_trim() {
        let all = heads("SFSFSSSFSF");
        let once = trim(&all, 5);
        let left: Vec<Head> = all
            .into_iter()
            .filter(|head| !once.delete.contains(&head.record.number))
            .map(|h| {
                head(
                    h.record.number,
                    h.record.verdict,
                    h.has_payload() && !once.strip.contains(&h.record.number),
                )
            })
            .collect();
        assert_eq!(trim(&left, 5), Trim::default());
        assert_eq!(newest_stable(&left).unwrap().record.number, 9);
    }

    #[test]
    fn numbers_go_up_and_pass_over_what_is_taken() {
        let mut listing = Listing::default();
        assert_eq!(next_number(&listing), 1);
        listing.heads = heads("sf");
        assert_eq!(next_number(&listing), 3);
        listing.refused = [3, 4, u64::MAX].map(|n| Refusal::absent(&record().app, n)).into();
        assert_eq!(next_number(&listing), 5, "a planted number costs no more than its own");
    }
}
