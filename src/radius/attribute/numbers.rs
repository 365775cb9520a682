//! Numbers of the standard attributes under their dictionary names, and of the vendors that the
//! server itself speaks to. Everything else is in the dictionaries.

macro_rules! numbers {
    ($($constant:ident = $number:literal, $name:literal;)*) => {
        $(#[doc = $name] pub const $constant: u8 = $number;)*

        /// Every attribute constant with the name it has in the dictionaries.
        pub const NAMES: &[(u8, &str)] = &[$(($constant, $name)),*];
    };
}

numbers! {
    USER_NAME = 1, "User-Name";
    USER_PASSWORD = 2, "User-Password";
    CHAP_PASSWORD = 3, "CHAP-Password";
    NAS_IP_ADDRESS = 4, "NAS-IP-Address";
    NAS_PORT = 5, "NAS-Port";
    SERVICE_TYPE = 6, "Service-Type";
    FRAMED_PROTOCOL = 7, "Framed-Protocol";
    FRAMED_IP_ADDRESS = 8, "Framed-IP-Address";
    FRAMED_IP_NETMASK = 9, "Framed-IP-Netmask";
    FRAMED_ROUTING = 10, "Framed-Routing";
    FILTER_ID = 11, "Filter-Id";
    FRAMED_MTU = 12, "Framed-MTU";
    FRAMED_COMPRESSION = 13, "Framed-Compression";
    LOGIN_IP_HOST = 14, "Login-IP-Host";
    LOGIN_SERVICE = 15, "Login-Service";
    LOGIN_TCP_PORT = 16, "Login-TCP-Port";
    REPLY_MESSAGE = 18, "Reply-Message";
    CALLBACK_NUMBER = 19, "Callback-Number";
    CALLBACK_ID = 20, "Callback-Id";
    FRAMED_ROUTE = 22, "Framed-Route";
    FRAMED_IPX_NETWORK = 23, "Framed-IPX-Network";
    STATE = 24, "State";
    CLASS = 25, "Class";
    VENDOR_SPECIFIC = 26, "Vendor-Specific";
    SESSION_TIMEOUT = 27, "Session-Timeout";
    IDLE_TIMEOUT = 28, "Idle-Timeout";
    TERMINATION_ACTION = 29, "Termination-Action";
    CALLED_STATION_ID = 30, "Called-Station-Id";
    CALLING_STATION_ID = 31, "Calling-Station-Id";
    NAS_IDENTIFIER = 32, "NAS-Identifier";
    PROXY_STATE = 33, "Proxy-State";
    LOGIN_LAT_SERVICE = 34, "Login-LAT-Service";
    LOGIN_LAT_NODE = 35, "Login-LAT-Node";
    LOGIN_LAT_GROUP = 36, "Login-LAT-Group";
    FRAMED_APPLE_TALK_LINK = 37, "Framed-AppleTalk-Link";
    FRAMED_APPLE_TALK_NETWORK = 38, "Framed-AppleTalk-Network";
    FRAMED_APPLE_TALK_ZONE = 39, "Framed-AppleTalk-Zone";
    ACCT_STATUS_TYPE = 40, "Acct-Status-Type";
    ACCT_DELAY_TIME = 41, "Acct-Delay-Time";
    ACCT_INPUT_OCTETS = 42, "Acct-Input-Octets";
    ACCT_OUTPUT_OCTETS = 43, "Acct-Output-Octets";
    ACCT_SESSION_ID = 44, "Acct-Session-Id";
    ACCT_AUTHENTIC = 45, "Acct-Authentic";
    ACCT_SESSION_TIME = 46, "Acct-Session-Time";
    ACCT_INPUT_PACKETS = 47, "Acct-Input-Packets";
    ACCT_OUTPUT_PACKETS = 48, "Acct-Output-Packets";
    ACCT_TERMINATE_CAUSE = 49, "Acct-Terminate-Cause";
    ACCT_MULTI_SESSION_ID = 50, "Acct-Multi-Session-Id";
    ACCT_LINK_COUNT = 51, "Acct-Link-Count";
    ACCT_INPUT_GIGAWORDS = 52, "Acct-Input-Gigawords";
    ACCT_OUTPUT_GIGAWORDS = 53, "Acct-Output-Gigawords";
    EVENT_TIMESTAMP = 55, "Event-Timestamp";
    EGRESS_VLANID = 56, "Egress-VLANID";
    INGRESS_FILTERS = 57, "Ingress-Filters";
    EGRESS_VLAN_NAME = 58, "Egress-VLAN-Name";
    USER_PRIORITY_TABLE = 59, "User-Priority-Table";
    CHAP_CHALLENGE = 60, "CHAP-Challenge";
    NAS_PORT_TYPE = 61, "NAS-Port-Type";
    PORT_LIMIT = 62, "Port-Limit";
    LOGIN_LAT_PORT = 63, "Login-LAT-Port";
    TUNNEL_TYPE = 64, "Tunnel-Type";
    TUNNEL_MEDIUM_TYPE = 65, "Tunnel-Medium-Type";
    TUNNEL_CLIENT_ENDPOINT = 66, "Tunnel-Client-Endpoint";
    TUNNEL_SERVER_ENDPOINT = 67, "Tunnel-Server-Endpoint";
    ACCT_TUNNEL_CONNECTION = 68, "Acct-Tunnel-Connection";
    TUNNEL_PASSWORD = 69, "Tunnel-Password";
    ARAP_PASSWORD = 70, "ARAP-Password";
    ARAP_FEATURES = 71, "ARAP-Features";
    ARAP_ZONE_ACCESS = 72, "ARAP-Zone-Access";
    ARAP_SECURITY = 73, "ARAP-Security";
    ARAP_SECURITY_DATA = 74, "ARAP-Security-Data";
    PASSWORD_RETRY = 75, "Password-Retry";
    PROMPT = 76, "Prompt";
    CONNECT_INFO = 77, "Connect-Info";
    CONFIGURATION_TOKEN = 78, "Configuration-Token";
    EAP_MESSAGE = 79, "EAP-Message";
    MESSAGE_AUTHENTICATOR = 80, "Message-Authenticator";
    TUNNEL_PRIVATE_GROUP_ID = 81, "Tunnel-Private-Group-Id";
    TUNNEL_ASSIGNMENT_ID = 82, "Tunnel-Assignment-Id";
    TUNNEL_PREFERENCE = 83, "Tunnel-Preference";
    ARAP_CHALLENGE_RESPONSE = 84, "ARAP-Challenge-Response";
    ACCT_INTERIM_INTERVAL = 85, "Acct-Interim-Interval";
    ACCT_TUNNEL_PACKETS_LOST = 86, "Acct-Tunnel-Packets-Lost";
    NAS_PORT_ID = 87, "NAS-Port-Id";
    FRAMED_POOL = 88, "Framed-Pool";
    CHARGEABLE_USER_IDENTITY = 89, "Chargeable-User-Identity";
    TUNNEL_CLIENT_AUTH_ID = 90, "Tunnel-Client-Auth-Id";
    TUNNEL_SERVER_AUTH_ID = 91, "Tunnel-Server-Auth-Id";
    NAS_FILTER_RULE = 92, "NAS-Filter-Rule";
    ORIGINATING_LINE_INFO = 94, "Originating-Line-Info";
    NAS_IPV6_ADDRESS = 95, "NAS-IPv6-Address";
    FRAMED_INTERFACE_ID = 96, "Framed-Interface-Id";
    FRAMED_IPV6_PREFIX = 97, "Framed-IPv6-Prefix";
    LOGIN_IPV6_HOST = 98, "Login-IPv6-Host";
    FRAMED_IPV6_ROUTE = 99, "Framed-IPv6-Route";
    FRAMED_IPV6_POOL = 100, "Framed-IPv6-Pool";
    ERROR_CAUSE = 101, "Error-Cause";
    EAP_KEY_NAME = 102, "EAP-Key-Name";
    SIP_AOR = 122, "SIP-AOR";
    DELEGATED_IPV6_PREFIX = 123, "Delegated-IPv6-Prefix";
    MIP6_FEATURE_VECTOR = 124, "MIP6-Feature-Vector";
    MIP6_HOME_LINK_PREFIX = 125, "MIP6-Home-Link-Prefix";
    OPERATOR_NAME = 126, "Operator-Name";
    LOCATION_INFORMATION = 127, "Location-Information";
    LOCATION_DATA = 128, "Location-Data";
    FRAMED_MANAGEMENT = 133, "Framed-Management";
    MANAGEMENT_TRANSPORT_PROTECTION = 134, "Management-Transport-Protection";
    MANAGEMENT_POLICY_ID = 135, "Management-Policy-Id";
    MANAGEMENT_PRIVILEGE_LEVEL = 136, "Management-Privilege-Level";
    DS_LITE_TUNNEL_NAME = 144, "DS-Lite-Tunnel-Name";
    MOBILE_NODE_IDENTIFIER = 145, "Mobile-Node-Identifier";
    SERVICE_SELECTION = 146, "Service-Selection";
    EAP_LOWER_LAYER = 163, "EAP-Lower-Layer";
    GSS_ACCEPTOR_SERVICE_NAME = 164, "GSS-Acceptor-Service-Name";
    GSS_ACCEPTOR_HOST_NAME = 165, "GSS-Acceptor-Host-Name";
    GSS_ACCEPTOR_SERVICE_SPECIFICS = 166, "GSS-Acceptor-Service-Specifics";
    GSS_ACCEPTOR_REALM_NAME = 167, "GSS-Acceptor-Realm-Name";
    FRAMED_IPV6_ADDRESS = 168, "Framed-IPv6-Address";
    DNS_SERVER_IPV6_ADDRESS = 169, "DNS-Server-IPv6-Address";
    ROUTE_IPV6_INFORMATION = 170, "Route-IPv6-Information";
    DELEGATED_IPV6_PREFIX_POOL = 171, "Delegated-IPv6-Prefix-Pool";
    STATEFUL_IPV6_ADDRESS_POOL = 172, "Stateful-IPv6-Address-Pool";
    IPV6_6RD_CONFIGURATION = 173, "IPv6-6rd-Configuration";
    ALLOWED_CALLED_STATION_ID = 174, "Allowed-Called-Station-Id";
    EAP_PEER_ID = 175, "EAP-Peer-Id";
    EAP_SERVER_ID = 176, "EAP-Server-Id";
    MOBILITY_DOMAIN_ID = 177, "Mobility-Domain-Id";
    PREAUTH_TIMEOUT = 178, "Preauth-Timeout";
    NETWORK_ID_NAME = 179, "Network-Id-Name";
    EAPOL_ANNOUNCEMENT = 180, "EAPoL-Announcement";
    WLAN_HESSID = 181, "WLAN-HESSID";
    WLAN_VENUE_INFO = 182, "WLAN-Venue-Info";
    WLAN_VENUE_LANGUAGE = 183, "WLAN-Venue-Language";
    WLAN_VENUE_NAME = 184, "WLAN-Venue-Name";
    WLAN_REASON_CODE = 185, "WLAN-Reason-Code";
    WLAN_PAIRWISE_CIPHER = 186, "WLAN-Pairwise-Cipher";
    WLAN_GROUP_CIPHER = 187, "WLAN-Group-Cipher";
    WLAN_AKM_SUITE = 188, "WLAN-AKM-Suite";
    WLAN_GROUP_MGMT_CIPHER = 189, "WLAN-Group-Mgmt-Cipher";
    WLAN_RF_BAND = 190, "WLAN-RF-Band";
    EXTENDED_ATTRIBUTE_1 = 241, "Extended-Attribute-1";
    EXTENDED_ATTRIBUTE_2 = 242, "Extended-Attribute-2";
    EXTENDED_ATTRIBUTE_3 = 243, "Extended-Attribute-3";
    EXTENDED_ATTRIBUTE_4 = 244, "Extended-Attribute-4";
    EXTENDED_ATTRIBUTE_5 = 245, "Extended-Attribute-5";
    EXTENDED_ATTRIBUTE_6 = 246, "Extended-Attribute-6";
}

/// SMI private enterprise numbers (the vendor of a Vendor-Specific).
pub mod vendor {
    /// RFC 2548
    pub const MICROSOFT: u32 = 311;
    /// Cisco-AVPair and others
    pub const CISCO: u32 = 9;
    /// RouterOS
    pub const MIKROTIK: u32 = 14988;
    /// CoovaChilli
    pub const CHILLISPOT: u32 = 14559;
    /// Wi-Fi Alliance's roaming attributes
    pub const WISPR: u32 = 14122;
    /// VRP
    pub const HUAWEI: u32 = 2011;
}

/// Vendor types of Microsoft (RFC 2548).
pub mod microsoft {
    /// MS-CHAP-Response
    pub const CHAP_RESPONSE: u8 = 1;
    /// MS-CHAP-Error
    pub const CHAP_ERROR: u8 = 2;
    /// MS-CHAP-CPW-1
    pub const CHAP_CPW_1: u8 = 3;
    /// MS-CHAP-CPW-2
    pub const CHAP_CPW_2: u8 = 4;
    /// MS-MPPE-Encryption-Policy
    pub const MPPE_ENCRYPTION_POLICY: u8 = 7;
    /// MS-MPPE-Encryption-Types
    pub const MPPE_ENCRYPTION_TYPES: u8 = 8;
    /// MS-CHAP-Challenge
    pub const CHAP_CHALLENGE: u8 = 11;
    /// MS-CHAP-MPPE-Keys
    pub const CHAP_MPPE_KEYS: u8 = 12;
    /// MS-MPPE-Send-Key
    pub const MPPE_SEND_KEY: u8 = 16;
    /// MS-MPPE-Recv-Key
    pub const MPPE_RECV_KEY: u8 = 17;
    /// MS-CHAP2-Response
    pub const CHAP2_RESPONSE: u8 = 25;
    /// MS-CHAP2-Success
    pub const CHAP2_SUCCESS: u8 = 26;
    /// MS-CHAP2-CPW
    pub const CHAP2_CPW: u8 = 27;
}

#[cfg(test)]
mod tests {
    use ::radius::core::{
        rfc2865, rfc2866, rfc2867, rfc2868, rfc2869, rfc3162, rfc3576, rfc4072, rfc4372, rfc4675, rfc4818,
        rfc4849, rfc5090, rfc5607, rfc6519, rfc6572, rfc6677, rfc6911, rfc7055, rfc7155,
    };

    use super::*;
    use crate::radius::dictionary::Dictionary;

    macro_rules! compare {
        ($($ours:ident == $theirs:path,)*) => { $(assert_eq!($ours, $theirs, stringify!($ours));)* };
    }

    #[test]
    fn numbers_agree_with_another_implementation() {
        compare! {
            USER_NAME == rfc2865::USER_NAME_TYPE,
            USER_PASSWORD == rfc2865::USER_PASSWORD_TYPE,
            CHAP_PASSWORD == rfc2865::CHAP_PASSWORD_TYPE,
            NAS_IP_ADDRESS == rfc2865::NAS_IP_ADDRESS_TYPE,
            NAS_PORT == rfc2865::NAS_PORT_TYPE,
            SERVICE_TYPE == rfc2865::SERVICE_TYPE_TYPE,
            FRAMED_PROTOCOL == rfc2865::FRAMED_PROTOCOL_TYPE,
            FRAMED_IP_ADDRESS == rfc2865::FRAMED_IP_ADDRESS_TYPE,
            FRAMED_IP_NETMASK == rfc2865::FRAMED_IP_NETMASK_TYPE,
            FRAMED_ROUTING == rfc2865::FRAMED_ROUTING_TYPE,
            FILTER_ID == rfc2865::FILTER_ID_TYPE,
            FRAMED_MTU == rfc2865::FRAMED_MTU_TYPE,
            FRAMED_COMPRESSION == rfc2865::FRAMED_COMPRESSION_TYPE,
            LOGIN_IP_HOST == rfc2865::LOGIN_IP_HOST_TYPE,
            LOGIN_SERVICE == rfc2865::LOGIN_SERVICE_TYPE,
            LOGIN_TCP_PORT == rfc2865::LOGIN_TCP_PORT_TYPE,
            REPLY_MESSAGE == rfc2865::REPLY_MESSAGE_TYPE,
            CALLBACK_NUMBER == rfc2865::CALLBACK_NUMBER_TYPE,
            CALLBACK_ID == rfc2865::CALLBACK_ID_TYPE,
            FRAMED_ROUTE == rfc2865::FRAMED_ROUTE_TYPE,
            FRAMED_IPX_NETWORK == rfc2865::FRAMED_IPX_NETWORK_TYPE,
            STATE == rfc2865::STATE_TYPE,
            CLASS == rfc2865::CLASS_TYPE,
            VENDOR_SPECIFIC == rfc2865::VENDOR_SPECIFIC_TYPE,
            SESSION_TIMEOUT == rfc2865::SESSION_TIMEOUT_TYPE,
            IDLE_TIMEOUT == rfc2865::IDLE_TIMEOUT_TYPE,
            TERMINATION_ACTION == rfc2865::TERMINATION_ACTION_TYPE,
            CALLED_STATION_ID == rfc2865::CALLED_STATION_ID_TYPE,
            CALLING_STATION_ID == rfc2865::CALLING_STATION_ID_TYPE,
            NAS_IDENTIFIER == rfc2865::NAS_IDENTIFIER_TYPE,
            PROXY_STATE == rfc2865::PROXY_STATE_TYPE,
            LOGIN_LAT_SERVICE == rfc2865::LOGIN_LAT_SERVICE_TYPE,
            LOGIN_LAT_NODE == rfc2865::LOGIN_LAT_NODE_TYPE,
            LOGIN_LAT_GROUP == rfc2865::LOGIN_LAT_GROUP_TYPE,
            FRAMED_APPLE_TALK_LINK == rfc2865::FRAMED_APPLE_TALK_LINK_TYPE,
            FRAMED_APPLE_TALK_NETWORK == rfc2865::FRAMED_APPLE_TALK_NETWORK_TYPE,
            FRAMED_APPLE_TALK_ZONE == rfc2865::FRAMED_APPLE_TALK_ZONE_TYPE,
            CHAP_CHALLENGE == rfc2865::CHAP_CHALLENGE_TYPE,
            NAS_PORT_TYPE == rfc2865::NAS_PORT_TYPE_TYPE,
            PORT_LIMIT == rfc2865::PORT_LIMIT_TYPE,
            LOGIN_LAT_PORT == rfc2865::LOGIN_LAT_PORT_TYPE,
            ACCT_STATUS_TYPE == rfc2866::ACCT_STATUS_TYPE_TYPE,
            ACCT_DELAY_TIME == rfc2866::ACCT_DELAY_TIME_TYPE,
            ACCT_INPUT_OCTETS == rfc2866::ACCT_INPUT_OCTETS_TYPE,
            ACCT_OUTPUT_OCTETS == rfc2866::ACCT_OUTPUT_OCTETS_TYPE,
            ACCT_SESSION_ID == rfc2866::ACCT_SESSION_ID_TYPE,
            ACCT_AUTHENTIC == rfc2866::ACCT_AUTHENTIC_TYPE,
            ACCT_SESSION_TIME == rfc2866::ACCT_SESSION_TIME_TYPE,
            ACCT_INPUT_PACKETS == rfc2866::ACCT_INPUT_PACKETS_TYPE,
            ACCT_OUTPUT_PACKETS == rfc2866::ACCT_OUTPUT_PACKETS_TYPE,
            ACCT_TERMINATE_CAUSE == rfc2866::ACCT_TERMINATE_CAUSE_TYPE,
            ACCT_MULTI_SESSION_ID == rfc2866::ACCT_MULTI_SESSION_ID_TYPE,
            ACCT_LINK_COUNT == rfc2866::ACCT_LINK_COUNT_TYPE,
            ACCT_TUNNEL_CONNECTION == rfc2867::ACCT_TUNNEL_CONNECTION_TYPE,
            ACCT_TUNNEL_PACKETS_LOST == rfc2867::ACCT_TUNNEL_PACKETS_LOST_TYPE,
            TUNNEL_TYPE == rfc2868::TUNNEL_TYPE_TYPE,
            TUNNEL_MEDIUM_TYPE == rfc2868::TUNNEL_MEDIUM_TYPE_TYPE,
            TUNNEL_CLIENT_ENDPOINT == rfc2868::TUNNEL_CLIENT_ENDPOINT_TYPE,
            TUNNEL_SERVER_ENDPOINT == rfc2868::TUNNEL_SERVER_ENDPOINT_TYPE,
            TUNNEL_PASSWORD == rfc2868::TUNNEL_PASSWORD_TYPE,
            TUNNEL_PRIVATE_GROUP_ID == rfc2868::TUNNEL_PRIVATE_GROUP_ID_TYPE,
            TUNNEL_ASSIGNMENT_ID == rfc2868::TUNNEL_ASSIGNMENT_ID_TYPE,
            TUNNEL_PREFERENCE == rfc2868::TUNNEL_PREFERENCE_TYPE,
            TUNNEL_CLIENT_AUTH_ID == rfc2868::TUNNEL_CLIENT_AUTH_ID_TYPE,
            TUNNEL_SERVER_AUTH_ID == rfc2868::TUNNEL_SERVER_AUTH_ID_TYPE,
            ACCT_INPUT_GIGAWORDS == rfc2869::ACCT_INPUT_GIGAWORDS_TYPE,
            ACCT_OUTPUT_GIGAWORDS == rfc2869::ACCT_OUTPUT_GIGAWORDS_TYPE,
            EVENT_TIMESTAMP == rfc2869::EVENT_TIMESTAMP_TYPE,
            ARAP_PASSWORD == rfc2869::ARAP_PASSWORD_TYPE,
            ARAP_FEATURES == rfc2869::ARAP_FEATURES_TYPE,
            ARAP_ZONE_ACCESS == rfc2869::ARAP_ZONE_ACCESS_TYPE,
            ARAP_SECURITY == rfc2869::ARAP_SECURITY_TYPE,
            ARAP_SECURITY_DATA == rfc2869::ARAP_SECURITY_DATA_TYPE,
            PASSWORD_RETRY == rfc2869::PASSWORD_RETRY_TYPE,
            PROMPT == rfc2869::PROMPT_TYPE,
            CONNECT_INFO == rfc2869::CONNECT_INFO_TYPE,
            CONFIGURATION_TOKEN == rfc2869::CONFIGURATION_TOKEN_TYPE,
            EAP_MESSAGE == rfc2869::EAP_MESSAGE_TYPE,
            MESSAGE_AUTHENTICATOR == rfc2869::MESSAGE_AUTHENTICATOR_TYPE,
            ARAP_CHALLENGE_RESPONSE == rfc2869::ARAP_CHALLENGE_RESPONSE_TYPE,
            ACCT_INTERIM_INTERVAL == rfc2869::ACCT_INTERIM_INTERVAL_TYPE,
            NAS_PORT_ID == rfc2869::NAS_PORT_ID_TYPE,
            FRAMED_POOL == rfc2869::FRAMED_POOL_TYPE,
            NAS_IPV6_ADDRESS == rfc3162::NAS_IPV6_ADDRESS_TYPE,
            FRAMED_INTERFACE_ID == rfc3162::FRAMED_INTERFACE_ID_TYPE,
            FRAMED_IPV6_PREFIX == rfc3162::FRAMED_IPV6_PREFIX_TYPE,
            LOGIN_IPV6_HOST == rfc3162::LOGIN_IPV6_HOST_TYPE,
            FRAMED_IPV6_ROUTE == rfc3162::FRAMED_IPV6_ROUTE_TYPE,
            FRAMED_IPV6_POOL == rfc3162::FRAMED_IPV6_POOL_TYPE,
            ERROR_CAUSE == rfc3576::ERROR_CAUSE_TYPE,
            EAP_KEY_NAME == rfc4072::EAP_KEY_NAME_TYPE,
            CHARGEABLE_USER_IDENTITY == rfc4372::CHARGEABLE_USER_IDENTITY_TYPE,
            EGRESS_VLANID == rfc4675::EGRESS_VLANID_TYPE,
            INGRESS_FILTERS == rfc4675::INGRESS_FILTERS_TYPE,
            EGRESS_VLAN_NAME == rfc4675::EGRESS_VLAN_NAME_TYPE,
            USER_PRIORITY_TABLE == rfc4675::USER_PRIORITY_TABLE_TYPE,
            DELEGATED_IPV6_PREFIX == rfc4818::DELEGATED_IPV6_PREFIX_TYPE,
            NAS_FILTER_RULE == rfc4849::NAS_FILTER_RULE_TYPE,
            SIP_AOR == rfc5090::SIP_AOR_TYPE,
            FRAMED_MANAGEMENT == rfc5607::FRAMED_MANAGEMENT_TYPE,
            MANAGEMENT_TRANSPORT_PROTECTION == rfc5607::MANAGEMENT_TRANSPORT_PROTECTION_TYPE,
            MANAGEMENT_POLICY_ID == rfc5607::MANAGEMENT_POLICY_ID_TYPE,
            MANAGEMENT_PRIVILEGE_LEVEL == rfc5607::MANAGEMENT_PRIVILEGE_LEVEL_TYPE,
            DS_LITE_TUNNEL_NAME == rfc6519::DS_LITE_TUNNEL_NAME_TYPE,
            MOBILE_NODE_IDENTIFIER == rfc6572::MOBILE_NODE_IDENTIFIER_TYPE,
            SERVICE_SELECTION == rfc6572::SERVICE_SELECTION_TYPE,
            EAP_LOWER_LAYER == rfc6677::EAP_LOWER_LAYER_TYPE,
            FRAMED_IPV6_ADDRESS == rfc6911::FRAMED_IPV6_ADDRESS_TYPE,
            DNS_SERVER_IPV6_ADDRESS == rfc6911::DNS_SERVER_IPV6_ADDRESS_TYPE,
            ROUTE_IPV6_INFORMATION == rfc6911::ROUTE_IPV6_INFORMATION_TYPE,
            DELEGATED_IPV6_PREFIX_POOL == rfc6911::DELEGATED_IPV6_PREFIX_POOL_TYPE,
            STATEFUL_IPV6_ADDRESS_POOL == rfc6911::STATEFUL_IPV6_ADDRESS_POOL_TYPE,
            GSS_ACCEPTOR_SERVICE_NAME == rfc7055::GSS_ACCEPTOR_SERVICE_NAME_TYPE,
            GSS_ACCEPTOR_HOST_NAME == rfc7055::GSS_ACCEPTOR_HOST_NAME_TYPE,
            GSS_ACCEPTOR_SERVICE_SPECIFICS == rfc7055::GSS_ACCEPTOR_SERVICE_SPECIFICS_TYPE,
            GSS_ACCEPTOR_REALM_NAME == rfc7055::GSS_ACCEPTOR_REALM_NAME_TYPE,
            ORIGINATING_LINE_INFO == rfc7155::ORIGINATING_LINE_INFO_TYPE,
        }
    }

    #[test]
    fn numbers_and_names_agree_with_the_dictionaries() {
        let dictionary = Dictionary::embedded();
        for (number, name) in NAMES {
            let known = dictionary.attribute(name).and_then(|def| def.standard_number());
            assert_eq!(known, Some(*number), "{name}");
        }
        for (number, name) in [
            (vendor::MICROSOFT, "Microsoft"),
            (vendor::CISCO, "Cisco"),
            (vendor::MIKROTIK, "Mikrotik"),
            (vendor::CHILLISPOT, "ChilliSpot"),
            (vendor::WISPR, "WISPr"),
            (vendor::HUAWEI, "Huawei"),
        ] {
            assert_eq!(dictionary.vendor_named(name).map(|vendor| vendor.number), Some(number), "{name}");
        }
        for (number, name) in [
            (microsoft::CHAP_RESPONSE, "MS-CHAP-Response"),
            (microsoft::CHAP_ERROR, "MS-CHAP-Error"),
            (microsoft::CHAP_CPW_1, "MS-CHAP-CPW-1"),
            (microsoft::CHAP_CPW_2, "MS-CHAP-CPW-2"),
            (microsoft::MPPE_ENCRYPTION_POLICY, "MS-MPPE-Encryption-Policy"),
            (microsoft::MPPE_ENCRYPTION_TYPES, "MS-MPPE-Encryption-Types"),
            (microsoft::CHAP_CHALLENGE, "MS-CHAP-Challenge"),
            (microsoft::CHAP_MPPE_KEYS, "MS-CHAP-MPPE-Keys"),
            (microsoft::MPPE_SEND_KEY, "MS-MPPE-Send-Key"),
            (microsoft::MPPE_RECV_KEY, "MS-MPPE-Recv-Key"),
            (microsoft::CHAP2_RESPONSE, "MS-CHAP2-Response"),
            (microsoft::CHAP2_SUCCESS, "MS-CHAP2-Success"),
            (microsoft::CHAP2_CPW, "MS-CHAP2-CPW"),
        ] {
            let known = dictionary.by_path(Some(vendor::MICROSOFT), &[u32::from(number)]);
            assert_eq!(known.map(|def| def.name.as_str()), Some(name));
        }
    }

    #[test]
    fn numbers_are_in_order_and_named_once() {
        assert!(NAMES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
