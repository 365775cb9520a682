-- As daloRADIUS makes it: columns that FreeRADIUS does not know.
CREATE TABLE radacct (
    radacctid bigserial PRIMARY KEY,
    acctsessionid varchar(64) NOT NULL DEFAULT '',
    acctuniqueid varchar(32) NOT NULL DEFAULT '',
    username varchar(64) NOT NULL DEFAULT '',
    groupname varchar(64) NOT NULL DEFAULT '',
    realm varchar(64) DEFAULT '',
    nasipaddress inet NOT NULL,
    nasportid varchar(15) DEFAULT NULL,
    nasporttype varchar(32) DEFAULT NULL,
    acctstarttime timestamp with time zone NULL,
    acctstoptime timestamp with time zone NULL,
    acctsessiontime bigint DEFAULT NULL,
    acctauthentic varchar(32) DEFAULT NULL,
    connectinfo_start varchar(50) DEFAULT NULL,
    connectinfo_stop varchar(50) DEFAULT NULL,
    acctinputoctets bigint DEFAULT NULL,
    acctoutputoctets bigint DEFAULT NULL,
    calledstationid varchar(50) NOT NULL DEFAULT '',
    callingstationid varchar(50) NOT NULL DEFAULT '',
    acctterminatecause varchar(32) NOT NULL DEFAULT '',
    servicetype varchar(32) DEFAULT NULL,
    framedprotocol varchar(32) DEFAULT NULL,
    framedipaddress inet,
    acctupdatetime timestamp with time zone NULL,
    acctinterval integer DEFAULT NULL,
    acctstartdelay integer DEFAULT NULL,
    acctstopdelay integer DEFAULT NULL,
    xascendsessionsvrkey varchar(10) DEFAULT NULL,
    hotspot_id integer DEFAULT NULL
);

CREATE INDEX old_acctuniqueid ON radacct (acctuniqueid);

CREATE TABLE radcheck (
    id bigserial PRIMARY KEY,
    username varchar(64) NOT NULL DEFAULT '',
    attribute varchar(64) NOT NULL DEFAULT '',
    op char(2) NOT NULL DEFAULT '==',
    value varchar(253) NOT NULL DEFAULT ''
);

CREATE TABLE radreply (
    id bigserial PRIMARY KEY,
    username varchar(64) NOT NULL DEFAULT '',
    attribute varchar(64) NOT NULL DEFAULT '',
    op char(2) NOT NULL DEFAULT '=',
    value varchar(253) NOT NULL DEFAULT ''
);

CREATE TABLE radgroupcheck (
    id bigserial PRIMARY KEY,
    groupname varchar(64) NOT NULL DEFAULT '',
    attribute varchar(64) NOT NULL DEFAULT '',
    op char(2) NOT NULL DEFAULT '==',
    value varchar(253) NOT NULL DEFAULT ''
);

CREATE TABLE radgroupreply (
    id bigserial PRIMARY KEY,
    groupname varchar(64) NOT NULL DEFAULT '',
    attribute varchar(64) NOT NULL DEFAULT '',
    op char(2) NOT NULL DEFAULT '=',
    value varchar(253) NOT NULL DEFAULT ''
);

CREATE TABLE radusergroup (
    id bigserial PRIMARY KEY,
    username varchar(64) NOT NULL DEFAULT '',
    groupname varchar(64) NOT NULL DEFAULT '',
    priority integer NOT NULL DEFAULT 1
);

CREATE TABLE radpostauth (
    id bigserial PRIMARY KEY,
    username varchar(64) NOT NULL DEFAULT '',
    pass varchar(64) NOT NULL DEFAULT '',
    reply varchar(32) NOT NULL DEFAULT '',
    authdate timestamp with time zone NOT NULL
);

CREATE TABLE nas (
    id bigserial PRIMARY KEY,
    nasname varchar(128) NOT NULL,
    shortname varchar(32),
    type varchar(30) DEFAULT 'other',
    ports integer,
    secret varchar(60) DEFAULT 'secret' NOT NULL,
    community varchar(50),
    description varchar(200) DEFAULT 'RADIUS Client'
);

CREATE TABLE userinfo (
    id bigserial PRIMARY KEY,
    username varchar(128),
    firstname varchar(200),
    lastname varchar(200),
    creationdate timestamp with time zone,
    creationby varchar(128)
);

CREATE TABLE userbillinfo (
    id bigserial PRIMARY KEY,
    username varchar(128),
    planname varchar(128)
);

INSERT INTO radcheck (username, attribute, op, value) VALUES ('alice', 'Cleartext-Password', ':=', 'secret');

INSERT INTO radusergroup (username, groupname, priority) VALUES ('alice', 'daloRADIUS-Disabled-Users', 0);
