//! How rows of one list are merged into what earlier lists left: FreeRADIUS's operators (`rlm_sql` with
//! `radius_pairmove`), tried against FreeRADIUS 3.2.1.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::operator::Operator;

/// Which attribute an item is: vendor, then the numbers.
pub(crate) type Id = SmallVec<[u32; 4]>;

/// A row as merging sees it.
#[derive(Clone, Debug)]
pub(crate) struct Item<M> {
    pub(crate) id: Id,
    /// The tag of `Name:1` (RFC 2868 §3.1); 0 is none.
    pub(crate) tag: u8,
    pub(crate) op: Operator,
    /// The value; octets in whose order the values are in order.
    pub(crate) octets: SmallVec<[u8; 32]>,
    pub(crate) meaning: M,
}

/// What a list has become.
pub(crate) type Merged<'a, M> = SmallVec<[&'a Item<M>; 16]>;

/// Merges the rows of one table into the list. The rows of one table do not see each other: two `:=` for
/// one attribute both stay, and both replace a different value of an earlier list.
pub(crate) fn merge<'a, M>(to: &mut Merged<'a, M>, from: &'a [Item<M>]) {
    let mut slots: SmallVec<[Slot<'a, M>; 16]> =
        to.drain(..).map(|item| Slot { item: Some(item), replaced: false }).collect();
    let mut added: SmallVec<[&Item<M>; 16]> = SmallVec::new();
    for new in from {
        if edit(&mut slots, new) {
            added.push(new);
        }
    }
    to.extend(slots.iter().filter_map(|slot| slot.item));
    to.extend(added);
}

struct Slot<'a, M> {
    item: Option<&'a Item<M>>,
    /// Put there by this merge: no further row of the same table touches it.
    replaced: bool,
}

/// Edits the earlier list; true if the row is to be appended.
fn edit<'a, M>(slots: &mut [Slot<'a, M>], new: &'a Item<M>) -> bool {
    if new.op == Operator::Add {
        return true;
    }
    for slot in slots.iter_mut().filter(|slot| !slot.replaced) {
        let Some(old) = slot.item.filter(|old| old.id == new.id) else {
            continue;
        };
        // A row without a tag compares with any; else the tags come first.
        let tags = if new.tag == 0 { Ordering::Equal } else { old.tag.cmp(&new.tag) };
        let order = tags.then_with(|| old.octets.cmp(&new.octets));
        let replace = match new.op {
            Operator::Set => true,
            Operator::Default => return false,
            Operator::Absent => {
                slot.item = None;
                continue;
            }
            Operator::Equal if order.is_ne() => {
                slot.item = None;
                continue;
            }
            Operator::Subtract if order.is_eq() => {
                slot.item = None;
                continue;
            }
            Operator::AtMost => order.is_gt(),
            Operator::AtLeast => order.is_lt(),
            _ => false,
        };
        if replace {
            slot.item = Some(new);
            slot.replaced = true;
            return false;
        }
    }
    matches!(new.op, Operator::Set | Operator::Default | Operator::AtMost | Operator::AtLeast)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(rows: &[(&str, u32, u8)]) -> Vec<Item<()>> {
        rows.iter()
            .map(|(op, number, value)| Item {
                id: Id::from_slice(&[0, *number]),
                tag: 0,
                op: Operator::parse(op).unwrap(),
                octets: SmallVec::from_slice(&[*value]),
                meaning: (),
            })
            .collect()
    }

    fn merged(first: &[(&str, u32, u8)], second: &[(&str, u32, u8)]) -> Vec<u8> {
        let (first, second) = (list(first), list(second));
        let mut to = Merged::new();
        merge(&mut to, &first);
        merge(&mut to, &second);
        to.iter().map(|item| item.octets[0]).collect()
    }

    /// As FreeRADIUS 3.2.1 compares them.
    #[test]
    fn a_tag_is_compared_where_the_later_row_has_one() {
        let row = |op: &str, tag| Item { tag, ..list(&[(op, 64, 13)]).remove(0) };
        let tags = |first, second: Item<()>| {
            let (first, second) = ([row("+=", first)], [second]);
            let mut to = Merged::new();
            merge(&mut to, &first);
            merge(&mut to, &second);
            to.iter().map(|item| item.tag).collect::<Vec<_>>()
        };
        assert_eq!(tags(2, row("==", 1)), [0_u8; 0]);
        assert_eq!(tags(0, row("==", 2)), [0_u8; 0]);
        assert_eq!(tags(1, row("==", 0)), [1]);
        assert_eq!(tags(0, row(">=", 1)), [1]);
        assert_eq!(tags(2, row("<=", 0)), [2, 0]);
    }

    /// Each line is what FreeRADIUS 3.2.1 sent for radreply and radgroupreply rows of one attribute.
    #[test]
    fn operators_edit_as_in_freeradius() {
        const A: u32 = 18;
        const NONE: [u8; 0] = [];
        let two = [("+=", A, 1), ("+=", A, 2)];
        assert_eq!(merged(&[(":=", A, 1), (":=", A, 2)], &[]), [1, 2]);
        assert_eq!(merged(&[("=", A, 1), ("=", A, 2)], &[]), [1, 2]);
        assert_eq!(merged(&[("+=", A, 1), ("+=", A, 2), (":=", A, 3)], &[]), [1, 2, 3]);
        assert_eq!(merged(&[(":=", A, 1)], &[(":=", A, 2)]), [2]);
        assert_eq!(merged(&[("=", A, 1)], &[("=", A, 2)]), [1]);
        assert_eq!(merged(&two, &[(":=", A, 3), (":=", A, 4)]), [3, 4]);
        assert_eq!(merged(&two, &[(":=", A, 3)]), [3, 2]);
        assert_eq!(merged(&two, &[("-=", A, 2)]), [1]);
        assert_eq!(merged(&two, &[("==", A, 2)]), [2]);
        assert_eq!(merged(&two, &[("!*", A, 2)]), NONE);
        assert_eq!(merged(&[("+=", A, 1), ("+=", A, 2), ("-=", A, 2)], &[]), [1, 2]);
        assert_eq!(merged(&[("==", A, 1)], &[]), NONE);
        assert_eq!(merged(&[(":=", A, 100)], &[("<=", A, 50)]), [50]);
        assert_eq!(merged(&[(":=", A, 100)], &[("<=", A, 150)]), [100, 150]);
        assert_eq!(merged(&[], &[("<=", A, 150)]), [150]);
        assert_eq!(merged(&[(":=", A, 100)], &[(">=", A, 50)]), [100, 50]);
        assert_eq!(merged(&[(":=", A, 100)], &[(">=", A, 150)]), [150]);
        for op in ["<", ">", "!=", "=~", "!~", "=*"] {
            assert_eq!(merged(&[(":=", A, 100)], &[(op, A, 50)]), [100], "{op}");
            assert_eq!(merged(&[], &[(op, A, 50)]), NONE, "{op}");
        }
        assert_eq!(merged(&[(":=", A, 100)], &[("", A, 50)]), NONE);
        assert_eq!(merged(&[(":=", A, 1)], &[(":=", 27, 2)]), [1, 2]);
    }
}
