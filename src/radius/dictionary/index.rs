//! The look-up tables of a [`super::Dictionary`]: compact, built once.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{AttributeDef, NumberPath, Vendor};

/// Positions in the list of attributes, found by name and by number.
#[derive(Clone)]
pub(super) struct Index {
    /// By name in lower case (ASCII).
    names: HashMap<SmolStr, u32, foldhash::fast::RandomState>,
    /// By path, sorted; vendor 0 stands for none.
    paths: Vec<(u32, NumberPath, u32)>,
    /// Standard attributes of one octet.
    standard: Box<[Option<u32>; 256]>,
    enumerations: Vec<Enumeration>,
    /// By number.
    vendors: Vec<Arc<Vendor>>,
}

/// The VALUE lines of one attribute.
#[derive(Clone, Default)]
struct Enumeration {
    by_number: Vec<(u64, SmolStr)>,
    by_name: Vec<(SmolStr, u64)>,
}

impl Index {
    /// `values` holds (enumeration, name, number) in the order of the files: of several names of
    /// a number the last is the one that is shown, and of several numbers of a name the last counts.
    pub(super) fn new(
        attributes: &[AttributeDef],
        values: Vec<(u32, SmolStr, u64)>,
        enumerations: usize,
        mut vendors: Vec<Arc<Vendor>>,
    ) -> Self {
        vendors.sort_by_key(|vendor| vendor.number);
        let mut names =
            HashMap::with_capacity_and_hasher(attributes.len(), foldhash::fast::RandomState::default());
        let mut paths = Vec::with_capacity(attributes.len());
        let mut standard = Box::new([None; 256]);
        for (def, at) in attributes.iter().zip(0_u32..) {
            names.insert(SmolStr::from(def.name.to_ascii_lowercase()), at);
            paths.push((def.specific_vendor().map_or(0, |vendor| vendor.number), def.numbers.clone(), at));
            if let Some(slot) = def.standard_number().and_then(|number| standard.get_mut(usize::from(number)))
            {
                *slot = Some(at);
            }
        }
        paths.sort();
        keep_last(&mut paths, |one, other| one.0 == other.0 && one.1 == other.1);
        let mut tables = vec![Enumeration::default(); enumerations];
        for (enumeration, name, number) in values {
            let table = usize::try_from(enumeration).ok().and_then(|at| tables.get_mut(at));
            if let Some(table) = table {
                table.by_number.push((number, name.clone()));
                table.by_name.push((name, number));
            }
        }
        for table in &mut tables {
            table.by_number.sort_by_key(|(number, _)| *number);
            keep_last(&mut table.by_number, |one, other| one.0 == other.0);
            table.by_name.sort_by(|one, other| caseless(&one.0, &other.0));
            keep_last(&mut table.by_name, |one, other| one.0.eq_ignore_ascii_case(&other.0));
        }
        paths.shrink_to_fit();
        Self { names, paths, standard, enumerations: tables, vendors }
    }

    pub(super) fn by_name(&self, name: &str) -> Option<usize> {
        let lower: SmallVec<[u8; 64]> = name.bytes().map(|octet| octet.to_ascii_lowercase()).collect();
        let at = self.names.get(std::str::from_utf8(&lower).ok()?)?;
        usize::try_from(*at).ok()
    }

    pub(super) fn by_path(&self, vendor: Option<u32>, numbers: &[u32]) -> Option<usize> {
        if let (None, [number]) = (vendor, numbers)
            && let Ok(number) = u8::try_from(*number)
        {
            return self.standard(number);
        }
        let sought = (vendor.unwrap_or(0), numbers);
        let at = self.paths.binary_search_by(|known| (known.0, known.1.as_slice()).cmp(&sought)).ok()?;
        self.paths.get(at).and_then(|(_, _, at)| usize::try_from(*at).ok())
    }

    pub(super) fn standard(&self, number: u8) -> Option<usize> {
        let at = self.standard.get(usize::from(number)).copied().flatten()?;
        usize::try_from(at).ok()
    }

    fn enumeration(&self, enumeration: u32) -> Option<&Enumeration> {
        self.enumerations.get(usize::try_from(enumeration).ok()?)
    }

    pub(super) fn value_name(&self, enumeration: u32, number: u64) -> Option<&str> {
        let table = self.enumeration(enumeration)?;
        let at = table.by_number.binary_search_by_key(&number, |(known, _)| *known).ok()?;
        table.by_number.get(at).map(|(_, name)| name.as_str())
    }

    pub(super) fn value_number(&self, enumeration: u32, name: &str) -> Option<u64> {
        let table = self.enumeration(enumeration)?;
        let at = table.by_name.binary_search_by(|(known, _)| caseless(known, name)).ok()?;
        table.by_name.get(at).map(|(_, number)| *number)
    }

    pub(super) fn values(&self, enumeration: u32) -> impl Iterator<Item = (u64, &str)> {
        let table = self.enumeration(enumeration);
        table
            .into_iter()
            .flat_map(|table| table.by_number.iter().map(|(number, name)| (*number, name.as_str())))
    }

    pub(super) fn vendor(&self, number: u32) -> Option<&Arc<Vendor>> {
        let at = self.vendors.binary_search_by_key(&number, |vendor| vendor.number).ok()?;
        self.vendors.get(at)
    }

    pub(super) fn vendor_named(&self, name: &str) -> Option<&Arc<Vendor>> {
        self.vendors.iter().find(|vendor| vendor.name.eq_ignore_ascii_case(name))
    }
}

/// Compares as if both were in lower case (ASCII).
fn caseless(one: &str, other: &str) -> Ordering {
    one.bytes()
        .map(|octet| octet.to_ascii_lowercase())
        .cmp(other.bytes().map(|octet| octet.to_ascii_lowercase()))
}

/// Of each run of equals in a sorted list keeps the last.
fn keep_last<T>(list: &mut Vec<T>, same: impl Fn(&T, &T) -> bool) {
    list.reverse();
    list.dedup_by(|one, other| same(one, other));
    list.reverse();
}
