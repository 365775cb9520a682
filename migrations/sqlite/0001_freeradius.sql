-- FreeRADIUS's tables as FreeRADIUS 3.2 has them on SQLite. A paragraph under "unless TABLE" is
-- passed over where that table was there before this migration: what exists is taken as it is.

-- unless radacct
CREATE TABLE radacct (
    radacctid INTEGER PRIMARY KEY AUTOINCREMENT,
    acctsessionid varchar(64) NOT NULL default '',
    acctuniqueid varchar(32) NOT NULL default '',
    username varchar(64) NOT NULL default '',
    realm varchar(64) default '',
    nasipaddress varchar(15) NOT NULL default '',
    nasportid varchar(32) default NULL,
    nasporttype varchar(32) default NULL,
    acctstarttime datetime NULL default NULL,
    acctupdatetime datetime NULL default NULL,
    acctstoptime datetime NULL default NULL,
    acctinterval int(12) default NULL,
    acctsessiontime int(12) default NULL,
    acctauthentic varchar(32) default NULL,
    connectinfo_start varchar(128) default NULL,
    connectinfo_stop varchar(128) default NULL,
    acctinputoctets bigint(20) default NULL,
    acctoutputoctets bigint(20) default NULL,
    calledstationid varchar(50) NOT NULL default '',
    callingstationid varchar(50) NOT NULL default '',
    acctterminatecause varchar(32) NOT NULL default '',
    servicetype varchar(32) default NULL,
    framedprotocol varchar(32) default NULL,
    framedipaddress varchar(15) NOT NULL default '',
    framedipv6address varchar(45) NOT NULL default '',
    framedipv6prefix varchar(45) NOT NULL default '',
    framedinterfaceid varchar(44) NOT NULL default '',
    delegatedipv6prefix varchar(45) NOT NULL default '',
    class varchar(64) default NULL
);

-- unless radacct
CREATE UNIQUE INDEX acctuniqueid ON radacct(acctuniqueid);

-- unless radacct
CREATE INDEX username ON radacct(username);

-- unless radacct
CREATE INDEX framedipaddress ON radacct(framedipaddress);

-- unless radacct
CREATE INDEX framedipv6address ON radacct(framedipv6address);

-- unless radacct
CREATE INDEX framedipv6prefix ON radacct(framedipv6prefix);

-- unless radacct
CREATE INDEX framedinterfaceid ON radacct(framedinterfaceid);

-- unless radacct
CREATE INDEX delegatedipv6prefix ON radacct(delegatedipv6prefix);

-- unless radacct
CREATE INDEX acctsessionid ON radacct(acctsessionid);

-- unless radacct
CREATE INDEX acctsessiontime ON radacct(acctsessiontime);

-- unless radacct
CREATE INDEX acctstarttime ON radacct(acctstarttime);

-- unless radacct
CREATE INDEX acctinterval ON radacct(acctinterval);

-- unless radacct
CREATE INDEX acctstoptime ON radacct(acctstoptime);

-- unless radacct
CREATE INDEX nasipaddress ON radacct(nasipaddress);

-- unless radacct
CREATE INDEX class ON radacct(class);

-- unless radcheck
CREATE TABLE radcheck (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    username varchar(64) NOT NULL default '',
    attribute varchar(64) NOT NULL default '',
    op char(2) NOT NULL DEFAULT '==',
    value varchar(253) NOT NULL default ''
);

-- unless radcheck
CREATE INDEX check_username ON radcheck(username);

-- unless radgroupcheck
CREATE TABLE radgroupcheck (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    groupname varchar(64) NOT NULL default '',
    attribute varchar(64) NOT NULL default '',
    op char(2) NOT NULL DEFAULT '==',
    value varchar(253) NOT NULL default ''
);

-- unless radgroupcheck
CREATE INDEX check_groupname ON radgroupcheck(groupname);

-- unless radgroupreply
CREATE TABLE radgroupreply (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    groupname varchar(64) NOT NULL default '',
    attribute varchar(64) NOT NULL default '',
    op char(2) NOT NULL DEFAULT '=',
    value varchar(253) NOT NULL default ''
);

-- unless radgroupreply
CREATE INDEX reply_groupname ON radgroupreply(groupname);

-- unless radreply
CREATE TABLE radreply (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    username varchar(64) NOT NULL default '',
    attribute varchar(64) NOT NULL default '',
    op char(2) NOT NULL DEFAULT '=',
    value varchar(253) NOT NULL default ''
);

-- unless radreply
CREATE INDEX reply_username ON radreply(username);

-- unless radusergroup
CREATE TABLE radusergroup (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    username varchar(64) NOT NULL default '',
    groupname varchar(64) NOT NULL default '',
    priority int(11) NOT NULL default '1'
);

-- unless radusergroup
CREATE INDEX usergroup_username ON radusergroup(username);

-- unless radpostauth
CREATE TABLE radpostauth (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    username varchar(64) NOT NULL default '',
    pass varchar(64) NOT NULL default '',
    reply varchar(32) NOT NULL default '',
    authdate timestamp NOT NULL,
    class varchar(64) default NULL
);

-- unless radpostauth
CREATE INDEX radpostauth_username ON radpostauth(username);

-- unless radpostauth
CREATE INDEX radpostauth_class ON radpostauth(class);

-- unless nas
CREATE TABLE nas (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    nasname varchar(128) NOT NULL,
    shortname varchar(32),
    type varchar(30) DEFAULT 'other',
    ports int(5),
    secret varchar(60) DEFAULT 'secret' NOT NULL,
    server varchar(64),
    community varchar(50),
    description varchar(200) DEFAULT 'RADIUS Client',
    require_ma varchar(4) DEFAULT 'auto' NOT NULL,
    limit_proxy_state varchar(4) DEFAULT 'auto' NOT NULL
);

-- unless nas
CREATE INDEX nasname ON nas(nasname);

-- unless nasreload
CREATE TABLE nasreload (
    nasipaddress varchar(15) PRIMARY KEY,
    reloadtime datetime NOT NULL
);
