//! Who a subscriber is to people: names, addresses, papers. Nothing here decides a login.

use smol_str::SmolStr;

/// One thing that is known of a person (domain model §2, Contact).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContactField {
    /// Mr, Dr …
    Title,
    /// First name.
    First,
    /// Last name.
    Last,
    /// Telephone.
    Phone,
    /// Another telephone.
    AltPhone,
    /// Mobile telephone.
    Mobile,
    /// E-mail address.
    Email,
    /// Another e-mail address.
    AltEmail,
    /// As the caller says it.
    Gender,
    /// `YYYY-MM-DD`.
    Birthdate,
    /// Street and number.
    Address1,
    /// Second line of the address.
    Address2,
    /// Town.
    City,
    /// State or province.
    State,
    /// Postal code.
    Zip,
    /// Country.
    Country,
    /// Employer.
    Company,
    /// Name of a business.
    Business,
    /// Kind of identity paper.
    DocumentType,
    /// Its number.
    DocumentId,
    /// As the caller says it, like all below.
    Race,
    /// Religion.
    Religion,
    /// Nationality.
    Nationality,
    /// Profession.
    Profession,
    /// Interests.
    Interests,
    /// Marital status.
    MaritalStatus,
    /// Language or region.
    Locale,
    /// Room of a hotel, cabin of a ship.
    Room,
}

/// How many there are.
const FIELDS: usize = 28;

impl ContactField {
    /// All of them, in the order of the columns of `tk_contact`.
    pub const ALL: [Self; FIELDS] = [
        Self::Title,
        Self::First,
        Self::Last,
        Self::Phone,
        Self::AltPhone,
        Self::Mobile,
        Self::Email,
        Self::AltEmail,
        Self::Gender,
        Self::Birthdate,
        Self::Address1,
        Self::Address2,
        Self::City,
        Self::State,
        Self::Zip,
        Self::Country,
        Self::Company,
        Self::Business,
        Self::DocumentType,
        Self::DocumentId,
        Self::Race,
        Self::Religion,
        Self::Nationality,
        Self::Profession,
        Self::Interests,
        Self::MaritalStatus,
        Self::Locale,
        Self::Room,
    ];

    /// The column of `tk_contact`.
    #[must_use]
    pub const fn column(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::First => "first_name",
            Self::Last => "last_name",
            Self::Phone => "phone",
            Self::AltPhone => "alt_phone",
            Self::Mobile => "mobile",
            Self::Email => "email",
            Self::AltEmail => "alt_email",
            Self::Gender => "gender",
            Self::Birthdate => "birthdate",
            Self::Address1 => "address1",
            Self::Address2 => "address2",
            Self::City => "city",
            Self::State => "state",
            Self::Zip => "zip",
            Self::Country => "country",
            Self::Company => "company",
            Self::Business => "business",
            Self::DocumentType => "document_type",
            Self::DocumentId => "document_id",
            Self::Race => "race",
            Self::Religion => "religion",
            Self::Nationality => "nationality",
            Self::Profession => "profession",
            Self::Interests => "interests",
            Self::MaritalStatus => "marital_status",
            Self::Locale => "locale",
            Self::Room => "room",
        }
    }
}

/// What is known of a person. A field without a value and an empty one are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact([SmolStr; FIELDS]);

impl Contact {
    /// The value of a field, if there is one.
    #[must_use]
    pub fn get(&self, field: ContactField) -> Option<&str> {
        self.0.get(field as usize).map(SmolStr::as_str).filter(|value| !value.is_empty())
    }

    /// Sets a field; empty clears it.
    pub fn set(&mut self, field: ContactField, value: impl Into<SmolStr>) {
        if let Some(held) = self.0.get_mut(field as usize) {
            *held = value.into();
        }
    }

    /// The fields that have a value.
    pub fn fields(&self) -> impl Iterator<Item = (ContactField, &str)> {
        ContactField::ALL.into_iter().filter_map(|field| Some((field, self.get(field)?)))
    }

    /// Is nothing known?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields().next().is_none()
    }

    /// First and last name, as far as they are known.
    #[must_use]
    pub fn full_name(&self) -> String {
        let names = [self.get(ContactField::First), self.get(ContactField::Last)];
        names.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

impl FromIterator<(ContactField, SmolStr)> for Contact {
    fn from_iter<I: IntoIterator<Item = (ContactField, SmolStr)>>(fields: I) -> Self {
        let mut contact = Self::default();
        for (field, value) in fields {
            contact.set(field, value);
        }
        contact
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_place_and_its_column() {
        for (place, field) in ContactField::ALL.into_iter().enumerate() {
            assert_eq!(field as usize, place, "{field:?}");
        }
        let columns: std::collections::BTreeSet<_> = ContactField::ALL.map(ContactField::column).into();
        assert_eq!(columns.len(), FIELDS);
    }

    #[test]
    fn an_empty_value_is_none() {
        let mut contact = Contact::default();
        contact.set(ContactField::First, "John");
        contact.set(ContactField::Last, "Doe");
        assert_eq!(contact.full_name(), "John Doe");
        contact.set(ContactField::First, "");
        assert_eq!(contact.get(ContactField::First), None);
        assert_eq!(contact.fields().collect::<Vec<_>>(), [(ContactField::Last, "Doe")]);
    }
}
