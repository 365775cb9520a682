//! Our nouns: what a subscriber, a NAS, a session, its usage and a decision are.
//!
//! Owns the types that every other module passes around and the small rules that belong to one of
//! them alone. Refuses to know how they are stored, sent or shown: no serde, sqlx or tokio here.
//! Read [`session`] next, then [`decision`].

pub mod account;
pub mod charge;
pub mod collection;
pub mod contact;
pub mod customer;
pub mod decision;
pub mod dynamic_auth;
pub mod fup;
pub mod granted;
pub mod isp;
pub mod message;
pub mod money;
pub mod nas;
pub mod nas_table;
pub mod operator;
pub mod overrides;
pub mod page;
pub mod person;
pub mod place;
pub mod plan;
pub mod profile;
pub mod quota;
pub mod record;
pub mod renewal;
pub mod report;
pub mod session;
pub mod signing;
pub mod subscriber;
pub mod tally;
pub mod text;
pub mod usage;
pub mod validity;

pub use charge::{Charge, ChargePart, ChargeRule, Credit, LedgerAction, WalletKind};
pub use collection::{CollectionStatus, NewCollection, Payment, PendingCollection};
pub use contact::{Contact, ContactField};
pub use decision::{Decision, Effect, NasReload, PostAuth, RejectReason, Write};
pub use fup::{BandwidthTemplate, FupAttribute, FupKind, FupLimit, NewFup, WatchedFup};
pub use granted::{Difference, Granted};
pub use isp::IspSession;
pub use message::{Channel, DueMessage, LoggedMessage, MessageStatus, NewMessage};
pub use money::{Amount, Price};
pub use nas::{Nas, NasIdentity, NasSource, PackId, TriState};
pub use nas_table::NasTable;
pub use overrides::{AccountOverride, LoginOverride, LoginTerms};
pub use page::{Page, Paging};
pub use person::{Kind, Member, PeopleFilter, Person, Profile, StoredProof, Who};
pub use place::{Location, Place, PlaceKind, Visit};
pub use profile::{Rate, Volume};
pub use quota::{Exhaustion, Metric, Period, PlanLimits, Quota, QuotaRole, SubscriberTerms, TopUp};
pub use record::{AccountingRecord, RecordStatus, ReportedOctets};
pub use renewal::{Renewal, RenewalKind};
pub use session::{ClassToken, CloseGuess, Closed, Counter, Session, SessionFlags, SessionKey, UniqueId};
pub use signing::{NasReadiness, Readiness, Signing};
pub use subscriber::{AttributeRow, GroupRows, SubscriberId, SubscriberRows, SubscriberStatus, Tenure};
pub use tally::Tally;
pub use usage::{Day, Usage};
pub use validity::{DeviceRow, ExpiryKind, ExpiryRow, ExpiryUnit, Uses};
