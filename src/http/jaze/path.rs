//! Which call a path names, and its segments.
//!
//! Clients of the original leave segments empty (`/get_users_by_date///`), end with a slash, write two
//! before `api`, and copy the blanks of the document (`/api/v1/ get_all_streets`).

use percent_encoding::percent_decode_str;

/// A path below `/api/v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// What is called.
    pub(super) call: String,
    /// What follows; an empty segment was left out.
    segments: Vec<String>,
    /// It was written without anything that is only tolerated.
    pub(super) exact: bool,
}

impl Path {
    /// Takes a path apart; `None` where it is not below `/api/v1`, or no text.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let mut exact = true;
        let mut parts = path.split('/').map(|part| {
            let decoded = percent_decode_str(part).decode_utf8().ok()?;
            (!decoded.contains('\0')).then(|| decoded.into_owned())
        });
        // What is before the first slash.
        parts.next();
        let mut word = || loop {
            match parts.next()?? {
                part if part.trim().is_empty() => exact = false,
                part => {
                    exact &= part.trim() == part;
                    return Some(part.trim().to_owned());
                }
            }
        };
        if word()? != "api" || word()? != "v1" {
            return None;
        }
        let call = word()?;
        let mut segments = Vec::new();
        for part in parts {
            let part = part?;
            exact &= part.trim() == part && !part.is_empty();
            segments.push(part.trim().to_owned());
        }
        while segments.last().is_some_and(String::is_empty) {
            segments.pop();
        }
        Some(Self { call, segments, exact })
    }

    /// A segment by its place, from 0.
    pub(super) fn segment(&self, place: usize) -> Option<&str> {
        self.segments.get(place).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// How many segments there are.
    pub(super) fn len(&self) -> usize {
        self.segments.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Option<(String, Vec<Option<String>>, bool)> {
        let path = Path::parse(path)?;
        let segments = (0..path.len()).map(|place| path.segment(place).map(str::to_owned)).collect();
        Some((path.call, segments, path.exact))
    }

    #[test]
    fn what_clients_write_is_understood() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read("/api/v1/get_all"), Some(("get_all".to_owned(), vec![], true)));
        assert_eq!(read("/api/v1/get_all/"), Some(("get_all".to_owned(), vec![], false)));
        assert_eq!(read("//api/v1/get_details/7"), Some(("get_details".to_owned(), vec![some("7")], false)));
        assert_eq!(
            read("/api/v1/get_users_by_date/2024-01-01/2024-01-31/"),
            Some(("get_users_by_date".to_owned(), vec![some("2024-01-01"), some("2024-01-31")], false))
        );
        assert_eq!(read("/api/v1/get_users_by_date///").unwrap().1, vec![]);
        assert_eq!(read("/api/v1/get_users_by_date//2024-01-31").unwrap().1, vec![None, some("2024-01-31")]);
        assert_eq!(read("/api/v1/%20get_all_streets"), Some(("get_all_streets".to_owned(), vec![], false)));
        assert_eq!(read("/api/v1/get_user_by_username/a%2Fb%40c+d").unwrap().1, vec![some("a/b@c+d")]);
        for none in
            ["/api/v2/get_all", "/api/v1", "/api/v1/", "/", "", "/mbox/api", "/api/v1/x/%ff", "/api/v1/x/%00"]
        {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
