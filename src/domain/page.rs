//! Pages of lists: counted from 1, and known to be the last one without counting what a list holds.

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    /// Which page, from 1; 0 is taken for 1.
    pub page: u32,
    /// Rows of a page; 0 is taken for 1.
    pub per_page: u32,
}

impl Paging {
    /// A page.
    #[must_use]
    pub const fn new(page: u32, per_page: u32) -> Self {
        Self { page, per_page }
    }

    /// The first rows.
    #[must_use]
    pub const fn first(per_page: u32) -> Self {
        Self { page: 1, per_page }
    }

    /// Rows to pass over.
    #[must_use]
    pub fn offset(self) -> i64 {
        let earlier = i64::from(self.page.max(1)) - 1;
        earlier.saturating_mul(i64::from(self.per_page.max(1)))
    }

    /// Rows to ask for: one more than the page has tells whether another page follows.
    #[must_use]
    pub fn limit(self) -> i64 {
        i64::from(self.per_page.max(1)) + 1
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Its rows; none where the page lies beyond the end.
    pub rows: Vec<T>,
    /// Another page follows.
    pub more: bool,
}

impl<T> Page<T> {
    /// The page of rows that were asked for with [`Paging::limit`].
    #[must_use]
    pub fn of(mut rows: Vec<T>, paging: Paging) -> Self {
        let size = usize::try_from(paging.per_page.max(1)).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        rows.truncate(size);
        Self { rows, more }
    }

    /// The page of all of a list's rows.
    #[must_use]
    pub fn cut(rows: impl IntoIterator<Item = T>, paging: Paging) -> Self {
        let [skip, take] =
            [paging.offset(), paging.limit()].map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        Self::of(rows.into_iter().skip(skip).take(take).collect(), paging)
    }

    /// The same page of other rows.
    #[must_use]
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page { rows: self.rows.into_iter().map(change).collect(), more: self.more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_knows_whether_another_follows() {
        let page = |page, per_page| Page::cut(1..=5, Paging::new(page, per_page));
        assert_eq!(page(1, 2), Page { rows: vec![1, 2], more: true });
        assert_eq!(page(3, 2), Page { rows: vec![5], more: false });
        assert_eq!(page(1, 5), Page { rows: vec![1, 2, 3, 4, 5], more: false });
        assert_eq!(page(4, 2), Page { rows: vec![], more: false });
        assert_eq!(page(0, 0), Page { rows: vec![1], more: true });
        assert_eq!(page(u32::MAX, u32::MAX).rows.len(), 0);
    }
}
