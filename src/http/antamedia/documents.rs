//! The XML that answers: octet for octet what clients that cut at fixed places expect.
//!
//! Every line ends in CRLF: the declaration, an internal DTD that names each element, then all the data
//! on one line. A document without any item has no DTD, since its content model asks for one.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What a document consists of: a root with items, each with the same elements in the same order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    root: &'static str,
    item: &'static str,
    /// `+` where there may be several items.
    repeat: &'static str,
}

pub(super) const ACCOUNTS: Shape = Shape { root: "Accounts", item: "Account", repeat: "+" };
const RESULTS: Shape = Shape { root: "Results", item: "Result", repeat: "+" };
pub(super) const PRICE_PLANS: Shape = Shape { root: "PricePlans", item: "PricePlan", repeat: "+" };
pub(super) const STATISTICS: Shape = Shape { root: "Statistics", item: "Statistic", repeat: "" };
pub(super) const SESSIONS: Shape = Shape { root: "Sessions", item: "Session", repeat: "+" };
pub(super) const SUMMARY: Shape = Shape { root: "Summary", item: "Account", repeat: "" };

/// A document whose first user name may have to begin at a certain octet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document {
    /// `<?xml …?>` and CRLF.
    declaration: &'static str,
    dtd: String,
    data: String,
}

impl Document {
    /// A document of `items`, each with a text for each of `elements`.
    pub(super) fn new<'a, T>(shape: Shape, elements: &[&str], items: T) -> Self
    where
        T: IntoIterator<Item = Vec<Cow<'a, str>>>,
    {
        let Shape { root, item, .. } = shape;
        let mut data = format!("<{root}>");
        let mut empty = true;
        for texts in items {
            empty = false;
            data.push('<');
            data.push_str(item);
            data.push('>');
            for (element, text) in elements.iter().zip(&texts) {
                put(&mut data, element, text);
            }
            data.push_str("</");
            data.push_str(item);
            data.push('>');
        }
        let _fits = write!(data, "</{root}>\r\n");
        let dtd = if empty { String::new() } else { shape.dtd(elements) };
        Self { declaration: DECLARATION, dtd, data }
    }

    /// `SUCCESS`, or `ERROR: …`.
    pub(super) fn result(description: &str) -> Self {
        Self::new(RESULTS, &["Description"], [vec![Cow::Borrowed(description)]])
    }

    /// The whole text.
    pub(super) fn text(&self) -> String {
        [self.declaration, &self.dtd, &self.data].concat()
    }

    /// The whole text, with the first user name at octet `at` of an answer whose head has the octets that
    /// `head` gives for a body of so many. Blanks stand where the DTD was, or before its end, and the DTD
    /// goes where it is too long. `None` where even then the name comes later than that.
    pub(super) fn padded(&self, at: usize, head: impl Fn(usize) -> usize) -> Option<String> {
        let opening = self.data.find(FIRST_USERNAME)? + FIRST_USERNAME.len();
        for dtd in [self.dtd.as_str(), ""] {
            let before = self.declaration.len() + dtd.len() + opening;
            let whole = self.declaration.len() + dtd.len() + self.data.len();
            // The head says how long the body is, so it may grow by a digit with it.
            let blanks = (0..=1).find_map(|slack| {
                let blanks = at.checked_sub(before + head(whole) + slack)?;
                (head(whole + blanks) + before + blanks == at).then_some(blanks)
            });
            let Some(blanks) = blanks else { continue };
            let blanks = " ".repeat(blanks);
            let text = match dtd.strip_suffix(DTD_END) {
                Some(inner) => [self.declaration, inner, &blanks, DTD_END, &self.data].concat(),
                None => [self.declaration, &blanks, &self.data].concat(),
            };
            return Some(text);
        }
        None
    }
}

impl Shape {
    fn dtd(self, elements: &[&str]) -> String {
        let Self { root, item, repeat } = self;
        let mut dtd = format!("<!DOCTYPE {root} [\r\n\t<!ELEMENT {root} (({item}{repeat}))>\r\n");
        let mut model = elements.join(",");
        if let Some(place) = model.find(BREAK) {
            model.insert_str(place + BREAK.len(), INDENT);
            model.push(' ');
        }
        let _fits = write!(dtd, "\t<!ELEMENT {item} (({model}))>\r\n");
        for element in elements {
            let _fits = write!(dtd, "\t<!ELEMENT {element} (#PCDATA)>\r\n");
        }
        dtd.push_str(DTD_END);
        dtd
    }
}

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n";
const DTD_END: &str = "]>\r\n";
/// The captured content model of 31 elements has a line's end after this one, and a blank at its end.
const BREAK: &str = "ExpireAfter,";
const INDENT: &str = "\r\n                      ";
const FIRST_USERNAME: &str = "<Account><Username>";

fn put(data: &mut String, element: &str, text: &str) {
    data.push('<');
    data.push_str(element);
    data.push('>');
    data.push_str(&escaped(text));
    data.push_str("</");
    data.push_str(element);
    data.push('>');
}

/// Text for XML 1.0: markup escaped, what no document may hold left out, line ends and tabs as
/// references, so that the data stay on one line and come back as they were.
fn escaped(text: &str) -> Cow<'_, str> {
    let plain = |letter: char| !matches!(letter, '&' | '<' | '>' | '"' | '\'') && letter >= ' ';
    if text.chars().all(|letter| plain(letter) && is_legal(letter)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars().filter(|letter| is_legal(*letter)) {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            _ => out.push(letter),
        }
    }
    Cow::Owned(out)
}

/// XML 1.0 §2.2.
const fn is_legal(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::antamedia::translate::ACCOUNT;

    /// `viewaccount` as a real server answered it, without the four blanks at the end of the dump.
    const CAPTURED: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<!DOCTYPE Accounts [\r\n\t<!ELEMENT Accounts ((Account+))>\r\n\t<!ELEMENT Account ((Username,Password,TimeUsed,TimeLeft,UnlimitedTime,Quota,UnlimitedQuota,GroupPlanID,AccessFromTo,AccessID,EnableExpire,Expire,ExpireIn,ExpireAfter,\r\n                      EnableDailyTime,DailyTime,EnableDailyQuota,DailyQuota,EnableDailyLogins,DailyLogins,Download,Upload,GenerateID,Loggedin,DailyQuotaLeft,FirstUsed,LastUsed,EnableMonthlyTime,MonthlyTime,EnableMonthlyQuota,MonthlyQuota ))>\r\n\t<!ELEMENT Username (#PCDATA)>\r\n\t<!ELEMENT Password (#PCDATA)>\r\n\t<!ELEMENT TimeUsed (#PCDATA)>\r\n\t<!ELEMENT TimeLeft (#PCDATA)>\r\n\t<!ELEMENT UnlimitedTime (#PCDATA)>\r\n\t<!ELEMENT Quota (#PCDATA)>\r\n\t<!ELEMENT UnlimitedQuota (#PCDATA)>\r\n\t<!ELEMENT GroupPlanID (#PCDATA)>\r\n\t<!ELEMENT AccessFromTo (#PCDATA)>\r\n\t<!ELEMENT AccessID (#PCDATA)>\r\n\t<!ELEMENT EnableExpire (#PCDATA)>\r\n\t<!ELEMENT Expire (#PCDATA)>\r\n\t<!ELEMENT ExpireIn (#PCDATA)>\r\n\t<!ELEMENT ExpireAfter (#PCDATA)>\r\n\t<!ELEMENT EnableDailyTime (#PCDATA)>\r\n\t<!ELEMENT DailyTime (#PCDATA)>\r\n\t<!ELEMENT EnableDailyQuota (#PCDATA)>\r\n\t<!ELEMENT DailyQuota (#PCDATA)>\r\n\t<!ELEMENT EnableDailyLogins (#PCDATA)>\r\n\t<!ELEMENT DailyLogins (#PCDATA)>\r\n\t<!ELEMENT Download (#PCDATA)>\r\n\t<!ELEMENT Upload (#PCDATA)>\r\n\t<!ELEMENT GenerateID (#PCDATA)>\r\n\t<!ELEMENT Loggedin (#PCDATA)>\r\n\t<!ELEMENT DailyQuotaLeft (#PCDATA)>\r\n\t<!ELEMENT FirstUsed (#PCDATA)>\r\n\t<!ELEMENT LastUsed (#PCDATA)>\r\n\t<!ELEMENT EnableMonthlyTime (#PCDATA)>\r\n\t<!ELEMENT MonthlyTime (#PCDATA)>\r\n\t<!ELEMENT EnableMonthlyQuota (#PCDATA)>\r\n\t<!ELEMENT MonthlyQuota (#PCDATA)>\r\n]>\r\n<Accounts><Account><Username>3HABCDEFG</Username><Password></Password><TimeUsed>0</TimeUsed><TimeLeft>10800</TimeLeft><UnlimitedTime>False</UnlimitedTime><Quota>0</Quota><UnlimitedQuota>True</UnlimitedQuota><GroupPlanID>2</GroupPlanID><AccessFromTo>False</AccessFromTo><AccessID>1</AccessID><EnableExpire>False</EnableExpire><Expire></Expire><ExpireIn>4</ExpireIn><ExpireAfter>0</ExpireAfter><EnableDailyTime>False</EnableDailyTime><DailyTime>0</DailyTime><EnableDailyQuota>False</EnableDailyQuota><DailyQuota>0</DailyQuota><EnableDailyLogins>False</EnableDailyLogins><DailyLogins>0</DailyLogins><Download>131072</Download><Upload>65536</Upload><GenerateID>1</GenerateID><Loggedin>0</Loggedin><DailyQuotaLeft>0</DailyQuotaLeft><FirstUsed></FirstUsed><LastUsed></LastUsed><EnableMonthlyTime>False</EnableMonthlyTime><MonthlyTime>0</MonthlyTime><EnableMonthlyQuota>False</EnableMonthlyQuota><MonthlyQuota>0</MonthlyQuota></Account></Accounts>\r\n";

    fn captured() -> Document {
        let texts = [
            "3HABCDEFG",
            "",
            "0",
            "10800",
            "False",
            "0",
            "True",
            "2",
            "False",
            "1",
            "False",
            "",
            "4",
            "0",
            "False",
            "0",
            "False",
            "0",
            "False",
            "0",
            "131072",
            "65536",
            "1",
            "0",
            "0",
            "",
            "",
            "False",
            "0",
            "False",
            "0",
        ];
        Document::new(ACCOUNTS, &ACCOUNT, [texts.map(Cow::Borrowed).to_vec()])
    }

    #[test]
    fn an_account_is_told_as_a_real_server_tells_it() {
        let text = captured().text();
        assert_eq!(text, CAPTURED);
        assert_eq!(captured().declaration.len() + captured().dtd.len(), 1588);
        assert_eq!(text.find("3HABCDEFG"), Some(1617));
    }

    #[test]
    fn a_list_of_names_is_told_as_a_real_server_tells_it() {
        let names = ["3HABCDEFG", "USER18"].map(|name| vec![Cow::Borrowed(name)]);
        assert_eq!(
            Document::new(ACCOUNTS, &["Username"], names).text(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<!DOCTYPE Accounts [\r\n\t<!ELEMENT Accounts ((Account+))>\r\n\t<!ELEMENT Account ((Username))>\r\n\t<!ELEMENT Username (#PCDATA)>\r\n]>\r\n<Accounts><Account><Username>3HABCDEFG</Username></Account><Account><Username>USER18</Username></Account></Accounts>\r\n"
        );
    }

    #[test]
    fn a_list_of_nobody_has_no_dtd() {
        let none: [Vec<Cow<'_, str>>; 0] = [];
        assert_eq!(
            Document::new(ACCOUNTS, &["Username"], none).text(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<Accounts></Accounts>\r\n"
        );
    }

    #[test]
    fn a_result_has_the_same_look() {
        assert_eq!(
            Document::result("ERROR: Account does not exist").text(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<!DOCTYPE Results [\r\n\t<!ELEMENT Results ((Result+))>\r\n\t<!ELEMENT Result ((Description))>\r\n\t<!ELEMENT Description (#PCDATA)>\r\n]>\r\n<Results><Result><Description>ERROR: Account does not exist</Description></Result></Results>\r\n"
        );
    }

    #[test]
    fn text_cannot_break_a_document() {
        assert_eq!(escaped("plain é 1"), "plain é 1");
        assert_eq!(escaped("<a href=\"x\">'&</a>"), "&lt;a href=&quot;x&quot;&gt;&apos;&amp;&lt;/a&gt;");
        assert_eq!(escaped("a\u{0}b\u{1b}c\u{fffe}d\u{ffff}e"), "abcde");
        assert_eq!(escaped("a\r\n\tb"), "a&#13;&#10;&#9;b");
        assert_eq!(escaped("]]>"), "]]&gt;");
        assert_eq!(escaped("\u{1f600}"), "\u{1f600}");
    }

    #[test]
    fn the_first_name_can_be_put_at_a_certain_octet() {
        let head = |body: usize| 130 + body.to_string().len();
        for at in [1_476, 1_700, 1_760, 1_800, 2_000, 65_535] {
            let text = captured().padded(at, head).unwrap();
            assert_eq!(head(text.len()) + text.find("3HABCDEFG").unwrap(), at, "{at}");
            assert_eq!(text.contains("<!DOCTYPE"), at > 1_750, "{at}");
        }
        assert_eq!(captured().padded(100, head), None);
    }

    #[test]
    fn the_head_may_grow_by_a_digit_with_the_blanks() {
        let document = captured();
        let fixed = document.text().len();
        let head = |body: usize| 100 + body.to_string().len();
        let at = |blanks: usize| head(fixed + blanks) + 1_617 + blanks;
        for blanks in [9_999 - fixed, 10_000 - fixed] {
            let text = document.padded(at(blanks), head).unwrap();
            assert_eq!(head(text.len()) + text.find("3HABCDEFG").unwrap(), at(blanks));
        }
    }
}
