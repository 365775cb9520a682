//! Errors as IBSng says them: `KEY|text`, and a few without a key.

use std::fmt;

/// An answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    key: &'static str,
    text: String,
}

impl Fault {
    /// A text that IBSng gives without a key.
    pub(super) const fn bare(text: String) -> Self {
        Self { key: "", text }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() { f.write_str(&self.text) } else { write!(f, "{}|{}", self.key, self.text) }
    }
}

/// A key with its text, in which `%s` stands for a word of the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    key: &'static str,
    text: &'static str,
}

/// What a client sent is told back up to so many characters.
const WORD_MAX: usize = 200;

impl Text {
    /// The error with its words filled in.
    pub(super) fn of(self, words: &[&str]) -> Fault {
        let mut parts = self.text.split("%s");
        let mut text = parts.next().unwrap_or_default().to_owned();
        for (place, part) in parts.enumerate() {
            text.extend(words.get(place).copied().unwrap_or_default().chars().take(WORD_MAX));
            text.push_str(part);
        }
        Fault { key: self.key, text }
    }

    /// The error of a text without words.
    pub(super) fn plain(self) -> Fault {
        self.of(&[])
    }
}

macro_rules! texts {
    ($($name:ident: $text:literal;)*) => {
        /// Every error of the dialect. The texts are interface strings.
        pub(super) mod texts {
            use super::Text;

            $(pub(in crate::http::ibsng) const $name: Text = Text { key: stringify!($name), text: $text };)*

            /// All of them.
            #[cfg(test)]
            pub(in crate::http::ibsng) const ALL: &[Text] = &[$($name),*];
        }
    };
}

texts! {
    INVALID_AUTH_TYPE: "Invalid Authentication type";
    ACCESS_DENIED: "Access Denied";
    INTERNAL_ERROR: "Internal Error";
    INCOMPLETE_REQUEST: "Incomplete request, argument %s not found";
    INVALID_INT_VALUE: "%s must be an integer";
    INVALID_FLOAT_VALUE: "%s must be a valid floating point";
    INVALID_BOOL_VALUE: "invalid boolean value %s";
    INVALID_STRING_VALUE: "%s must be an string";
    INVALID_LIST_VALUE: "%s must be a list";
    INVALID_IP_ADDRESS: "Invalid IP Address %s";
    INVALID_MAC_ADDRESS: "Mac Address %s is invalid";
    INVALID_DATE: "Invalid date format %s";
    INVALID_DATE_UNIT: "Invalid date unit %s";
    INVALID_REL_DATE_UNIT: "Invalid Relative Date Unit %s";
    FROM_VALUE_INVALID: "Invalid From value %s";
    TO_VALUE_INVALID: "Invalid To value %s";
    INVALID_ORDER_BY: "Invalid Order By value %s";
    ATTR_NOT_FOUND: "Attribute %s not found";
    RANGE_ERROR: "Invalid range";
    USERID_DOESNT_EXISTS: "User with user id %s does not exists";
    INVALID_USER_ID: "User id %s is invalid";
    NORMAL_USERNAME_DOESNT_EXISTS: "User with Internet username %s does not exists";
    VOIP_USERNAME_DOESNT_EXISTS: "User with VoIP username %s does not exists";
    CANT_FIND_INSTANCE: "User %s is not online on %s %s";
    COUNT_NOT_INTEGER: "User count should be positive integer";
    INVALID_USER_COUNT: "Invalid count of users %s";
    CREDIT_NOT_FLOAT: "Credit must be a float number";
    CREDIT_MUST_BE_POSITIVE: "Credit must be positive number";
    CAN_NOT_NEGATE_CREDIT: "Can not negate credit of user %s, current credit is %s";
    INVALID_CREDIT_ACTION: "Invalid credit change action %s";
    NORMAL_USERNAME_EXISTS: "Internet username(s) %s already exist";
    NORMAL_USER_COUNT_NOT_MATCH: "Internet Usernames count isn't equal to updating users count. Updating %s users while there are %s Internet usernames";
    DUPLICATE_USERNAME: "Duplicate Username %s";
    BAD_NORMAL_USERNAME: "Bad characters in username %s";
    BAD_PASSWORD: "Bad characters in password";
    INVALID_PASSWORD_LENGTH: "Invalid password length %s";
    INVALID_MULTI_LOGIN: "Invalid Multi Login Value";
    INVALID_ABS_EXP_DATE: "Absolute Expiration Date is Invalid: %s";
    INVALID_REL_EXP_DATE: "Relative Expiration Date is Invalid";
    INVALID_SESSION_TIMEOUT: "Session Timeout Value is invalid";
    INVALID_IDLE_TIMEOUT: "Idle Timeout Value is invalid";
    INVALID_RADIUS_ATTRIBUTE: "Radius Attributes %s is not in radius dictionary";
    DELETE_USER_IS_ONLINE: "Can't delete user with id %s, because he is online";
    INVALID_OPERATOR: "Invalid operator %s";
    GROUP_NAME_INVALID: "Group name %s is invalid";
    GROUP_ID_INVALID: "Group id %s is invalid";
    ISP_NAME_INVALID: "ISP name %s is invalid";
    ADMIN_USERNAME_INVALID: "Admin Username %s is invalid";
    INVALID_CHARGE_RULE_ID: "Invalid Charge Rule ID %s";
    INVALID_RAS_IP: "Invalid Ras IP %s";
    NO_SUCH_INACTIVE_RAS: "There's no Inactive ras with ip %s";
    DONT_HAVE_PERMISSION: "Admin doesn't have permission";
    INVALID_ADMIN_NAME: "Admin Username %s is invalid";
    INCORRECT_PASSWORD: "Incorrect password";
    ADMIN_LOCKED: "Admin account is locked";
    ADDRESS_BANNED: "You are not authorized to login from this address";
    WRONG_PASSWORD: "Wrong password";
    USER_LOCKED: "User is locked";
    INVALID_SESSION_ID: "Session ID is invalid or expired";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_filled_in_and_bounded() {
        assert_eq!(
            texts::CAN_NOT_NEGATE_CREDIT.of(&["12", "5"]).to_string(),
            "CAN_NOT_NEGATE_CREDIT|Can not negate credit of user 12, current credit is 5"
        );
        assert_eq!(
            texts::INVALID_INT_VALUE.of(&["%s"]).to_string(),
            "INVALID_INT_VALUE|%s must be an integer"
        );
        assert_eq!(texts::ACCESS_DENIED.plain().to_string(), "ACCESS_DENIED|Access Denied");
        assert!(texts::INVALID_DATE.of(&[&"x".repeat(9_000)]).to_string().len() < 300);
        assert_eq!(Fault::bare("Handler --x-- not found".into()).to_string(), "Handler --x-- not found");
    }

    #[test]
    fn no_text_has_a_pipe() {
        // Clients split at the first one.
        assert!(texts::ALL.iter().all(|text| !text.text.contains('|') && !text.key.is_empty()));
    }
}
