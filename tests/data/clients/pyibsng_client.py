"""Drives a server with pyibsng from PyPI, as its users do: without a change to it."""
import sys

from ibsng import IBSng

sys.dont_write_bytecode = True
from nas import Nas

url, password, auth, accounting, secret = sys.argv[1:6]
nas = Nas(auth, accounting, secret)


def fresh():
    """A connection; what one method was called with is sent along with the next one, as pyibsng does it."""
    from ibsng.handler.handler import Handler
    Handler._method_headers.clear()
    return connection


def refused(key, call):
    """The call fails by this key."""
    try:
        call()
    except Exception as error:
        assert key in str(error) + repr(vars(error)), error
    else:
        raise SystemExit("it was not refused: " + key)


# Logging in.
refused("Authentication failed", lambda: IBSng("system:wrong@" + url, timeout=10).auth())
refused("Authentication failed", lambda: IBSng("nobody:wrong@" + url, timeout=10).auth())
# Its own patience is half a second, which a server built for tests on a busy machine may exceed.
connection = IBSng("system:%s@%s" % (password, url), timeout=10)
connection.auth()

# Creating: a user without a login, then with one.
made = fresh().user.addNewUsers(count=2, credit=10.0, isp_name="Main", group_name="gold", credit_comment="first")
user, other = made.json["result"]
assert not nas.accepts("py", "secret")
spec = {"normal_user_spec": {"normal_username": "py", "normal_password": "secret"}}
fresh().user.updateUserAttrs(user_id=user, attrs=spec, to_del_attrs=["lock"])
nas.soon("py", "secret", True)
assert fresh().user.doesUserExists(normal_username="py").json["result"] is True
refused("NORMAL_USERNAME_EXISTS", lambda: fresh().user.updateUserAttrs(user_id=other, attrs=spec, to_del_attrs=["lock"]))

# Changing: credit, and a lock that comes and goes.
change = fresh().user.changeCreditExtended(user_id=user, credit=5.5, change_type="ADD", credit_comment="more")
assert len(change.json["result"]) == 1, change.json
info = fresh().user.getUserInfo(user_id=user).json["result"][str(user)]
assert info["basic_info"]["credit"] == 15.5, info
assert info["basic_info"]["status"] == "Recharged", info
assert info["attrs"]["normal_username"] == "py", info
fresh().user.updateUserAttrs(user_id=user, attrs={"lock": "unpaid"}, to_del_attrs=["comment"])
nas.soon("py", "secret", False)
fresh().user.updateUserAttrs(user_id=user, attrs={"comment": "paid"}, to_del_attrs=["lock"])
nas.soon("py", "secret", True)
assert len(fresh().user.changeCreditExtended(user_id=user, credit=-15.5, change_type="ADD", credit_comment="none").json["result"]) == 1
nas.soon("py", "secret", False)

# Renewing.
assert fresh().user.renewUsers(user_ids=[user], comment="again").json["result"] is True
info = fresh().user.getUserInfo(normal_username="py").json["result"][str(user)]
assert info["basic_info"]["credit"] == 1000 and info["basic_info"]["status"] == "Package", info
nas.soon("py", "secret", True)

# Reporting: who there is, who is online, and what it was.
# It takes no nought, which is the first row.
found = fresh().user.searchUser(conds={"normal_username": "py"}, from_=1, to_=50, order_by="user_id", desc=True)
assert found.json["result"] == [1, 1000, []], found.json


def report(method, **params):
    """Its classes for reports are abstract in every release so far, and cannot be made: what they would call."""
    return connection._call("report." + method, **connection._headers, **params)["result"]


window = {"from": 0, "to": 10, "desc": False}
nas.record(1, "py", "of-py", 0, 0, 0)
nas.record(3, "py", "of-py", 60, 2048, 1024)
online, _ = report("getOnlineUsers", conds={}, normal_sort_by="user_id", normal_desc=False, voip_sort_by="user_id", voip_desc=False)
assert [(row["user_id"], row["attrs"]["in_bytes"], row["attrs"]["out_bytes"]) for row in online] == [(user, "1024", "2048")], online
info = fresh().user.getUserInfo(user_id=user).json["result"][str(user)]
assert info["online_status"] is True and info["internet_onlines"][0][2] == "7", info
# One credit a KiB of both directions.
assert info["basic_info"]["credit"] == 997, info
refused("DELETE_USER_IS_ONLINE", lambda: fresh().user.delUser(
    user_ids=[user], del_connection_logs=True, del_audit_logs=True, delete_comment=""))
assert report("getConnections", conds={"username": "py", "successful": "yes"}, sort_by="login_time", **window)["total_rows"] == 0
nas.record(2, "py", "of-py", 90, 4096, 1024)
connections = report("getConnections", conds={"username": "py", "successful": "yes"}, sort_by="login_time", **window)
assert connections["total_rows"] == 1, connections
row = connections["report"][0]
assert (row["bytes_in"], row["bytes_out"], row["duration_seconds"], row["credit_used"]) == ("1024", "4096", 90, 5), row
changes = report("getCreditChanges", conds={"user_ids": str(user)}, sort_by="change_time", **window)
assert [row["action_text"] for row in changes["report"]] == [
    "ADD_USER", "CHANGE_CREDIT", "CHANGE_CREDIT", "RENEW"], changes
assert "gold" in fresh().group.listGroups(isp_ids=[0], active_only=True).json["result"]
refused("NORMAL_USERNAME_DOESNT_EXISTS", lambda: fresh().user.getUserInfo(normal_username="nobody"))

# Deleting.
assert fresh().user.delUser(user_ids=[user, other], del_connection_logs=True, del_audit_logs=True, delete_comment="gone").json["result"] == ""
nas.soon("py", "secret", False)
refused("USERID_DOESNT_EXISTS", lambda: fresh().user.getUserInfo(user_id=user))
print("pyibsng is content")
