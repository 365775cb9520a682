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
    /// Continued attributes, format 1,1,c
    pub const WIMAX: u32 = 24757;
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
