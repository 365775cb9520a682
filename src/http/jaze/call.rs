//! A call: who asks, with which path and parameters.

use super::answer::Fail;
use super::dates::Moment;
use super::params::{Params, keyword, number};
use super::path::Path;
use crate::http::Shared;
use crate::http::peer::Peer;
use crate::service::Management;

/// What a handler gets.
pub(super) struct Call<'a> {
    pub(super) operator: &'a Management<'a>,
    pub(super) path: &'a Path,
    pub(super) params: &'a Params,
    pub(super) shared: &'a Shared,
    pub(super) peer: Peer,
}

impl Call<'_> {
    /// A segment of the path, from 0.
    pub(super) fn segment(&self, place: usize) -> Option<&str> {
        self.path.segment(place)
    }

    /// A segment that has to be there.
    pub(super) fn needed(&self, field: &str, place: usize) -> Result<&str, Fail> {
        self.segment(place).ok_or_else(|| Fail::missing(field))
    }

    /// A segment that is a number.
    pub(super) fn number(&self, field: &str, place: usize) -> Result<Option<i64>, Fail> {
        self.segment(place).map(|text| number(field, text)).transpose()
    }

    /// A segment that has to be a number.
    pub(super) fn needed_number(&self, field: &str, place: usize) -> Result<i64, Fail> {
        number(field, self.needed(field, place)?)
    }

    /// A segment that is one of some words.
    pub(super) fn keyword(
        &self,
        field: &str,
        place: usize,
        words: &[&'static str],
    ) -> Result<Option<&'static str>, Fail> {
        self.segment(place).map(|text| keyword(field, text, words)).transpose()
    }

    /// A segment that is a date.
    pub(super) fn date(&self, field: &str, place: usize) -> Result<Option<Moment>, Fail> {
        self.segment(place).map(|text| Moment::parse(field, text)).transpose()
    }

    /// A parameter that is a date.
    pub(super) fn param_date(&self, field: &str) -> Result<Option<Moment>, Fail> {
        self.params.text(field)?.map(|text| Moment::parse(field, text)).transpose()
    }

    /// May somebody behind this address try another password or address?
    pub(super) fn may_guess(&self) -> Result<(), Fail> {
        if self.shared.guesses.allows(self.peer) {
            return Ok(());
        }
        Err(Fail::new(429, "Too many failed attempts, try again in a minute"))
    }

    /// The number of the user in the body.
    pub(super) fn user(&self) -> Result<i64, Fail> {
        self.params.needed_number("userId")
    }
}
