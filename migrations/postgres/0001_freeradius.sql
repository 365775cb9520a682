-- FreeRADIUS's tables as FreeRADIUS 3.2 has them on PostgreSQL. A paragraph under "unless TABLE" is
-- passed over where that table was there before: what exists is taken as it is.

-- unless radacct
CREATE TABLE radacct (
    radacctid bigserial PRIMARY KEY,
    acctsessionid text NOT NULL,
    acctuniqueid text NOT NULL UNIQUE,
    username text,
    realm text,
    nasipaddress inet NOT NULL,
    nasportid text,
    nasporttype text,
    acctstarttime timestamp with time zone,
    acctupdatetime timestamp with time zone,
    acctstoptime timestamp with time zone,
    acctinterval bigint,
    acctsessiontime bigint,
    acctauthentic text,
    connectinfo_start text,
    connectinfo_stop text,
    acctinputoctets bigint,
    acctoutputoctets bigint,
    calledstationid text,
    callingstationid text,
    acctterminatecause text,
    servicetype text,
    framedprotocol text,
    framedipaddress inet,
    framedipv6address inet,
    framedipv6prefix inet,
    framedinterfaceid text,
    delegatedipv6prefix inet,
    class text
);

-- unless radacct
CREATE INDEX radacct_active_session_idx ON radacct (acctuniqueid) WHERE acctstoptime IS NULL;

-- unless radacct
CREATE INDEX radacct_bulk_close ON radacct (nasipaddress, acctstarttime) WHERE acctstoptime IS NULL;

-- unless radacct
CREATE INDEX radacct_start_user_idx ON radacct (acctstarttime, username);

-- unless radacct
CREATE INDEX radacct_calss_idx ON radacct (class);

-- unless radcheck
CREATE TABLE radcheck (
    id serial PRIMARY KEY,
    username text NOT NULL DEFAULT '',
    attribute text NOT NULL DEFAULT '',
    op varchar(2) NOT NULL DEFAULT '==',
    value text NOT NULL DEFAULT ''
);

-- unless radcheck
CREATE INDEX radcheck_username ON radcheck (username, attribute);

-- unless radgroupcheck
CREATE TABLE radgroupcheck (
    id serial PRIMARY KEY,
    groupname text NOT NULL DEFAULT '',
    attribute text NOT NULL DEFAULT '',
    op varchar(2) NOT NULL DEFAULT '==',
    value text NOT NULL DEFAULT ''
);

-- unless radgroupcheck
CREATE INDEX radgroupcheck_groupname ON radgroupcheck (groupname, attribute);

-- unless radgroupreply
CREATE TABLE radgroupreply (
    id serial PRIMARY KEY,
    groupname text NOT NULL DEFAULT '',
    attribute text NOT NULL DEFAULT '',
    op varchar(2) NOT NULL DEFAULT '=',
    value text NOT NULL DEFAULT ''
);

-- unless radgroupreply
CREATE INDEX radgroupreply_groupname ON radgroupreply (groupname, attribute);

-- unless radreply
CREATE TABLE radreply (
    id serial PRIMARY KEY,
    username text NOT NULL DEFAULT '',
    attribute text NOT NULL DEFAULT '',
    op varchar(2) NOT NULL DEFAULT '=',
    value text NOT NULL DEFAULT ''
);

-- unless radreply
CREATE INDEX radreply_username ON radreply (username, attribute);

-- unless radusergroup
CREATE TABLE radusergroup (
    id serial PRIMARY KEY,
    username text NOT NULL DEFAULT '',
    groupname text NOT NULL DEFAULT '',
    priority integer NOT NULL DEFAULT 0
);

-- unless radusergroup
CREATE INDEX radusergroup_username ON radusergroup (username);

-- unless radpostauth
CREATE TABLE radpostauth (
    id bigserial PRIMARY KEY,
    username text NOT NULL,
    pass text,
    reply text,
    calledstationid text,
    callingstationid text,
    authdate timestamp with time zone NOT NULL default now(),
    class text
);

-- unless radpostauth
CREATE INDEX radpostauth_username_idx ON radpostauth (username);

-- unless radpostauth
CREATE INDEX radpostauth_class_idx ON radpostauth (class);

-- unless nas
CREATE TABLE nas (
    id serial PRIMARY KEY,
    nasname text NOT NULL,
    shortname text NOT NULL,
    type text NOT NULL DEFAULT 'other',
    ports integer,
    secret text NOT NULL,
    server text,
    community text,
    description text,
    require_ma text NOT NULL DEFAULT 'auto',
    limit_proxy_state text NOT NULL DEFAULT 'auto'
);

-- unless nas
CREATE INDEX nas_nasname ON nas (nasname);

-- unless nasreload
CREATE TABLE nasreload (
    nasipaddress inet PRIMARY KEY,
    reloadtime timestamp with time zone NOT NULL
);
