"""Drives a server with pyibsng from PyPI, as its users do: without a change to it."""
import sys

from ibsng import IBSng

url, password = sys.argv[1], sys.argv[2]


def fresh():
    """A connection; what one method was called with is sent along with the next one, as pyibsng does it."""
    from ibsng.handler.handler import Handler
    Handler._method_headers.clear()
    return connection


connection = IBSng("system:%s@%s" % (password, url))
connection.auth()
made = fresh().user.addNewUsers(count=1, credit=10.0, isp_name="Main", group_name="gold", credit_comment="first")
user = made.json["result"][0]
spec = {"normal_user_spec": {"normal_username": "py", "normal_password": "secret"}}
fresh().user.updateUserAttrs(user_id=user, attrs=spec, to_del_attrs=["lock"])
change = fresh().user.changeCreditExtended(user_id=user, credit=5.5, change_type="ADD", credit_comment="more")
assert len(change.json["result"]) == 1, change.json
info = fresh().user.getUserInfo(user_id=user).json["result"][str(user)]
assert info["basic_info"]["credit"] == 15.5, info
assert info["basic_info"]["status"] == "Recharged", info
assert info["attrs"]["normal_username"] == "py", info
assert fresh().user.renewUsers(user_ids=[user], comment="again").json["result"] is True
info = fresh().user.getUserInfo(normal_username="py").json["result"][str(user)]
assert info["basic_info"]["credit"] == 1000, info
found = fresh().user.searchUser(conds={"normal_username": "py"}, from_=1, to_=50, order_by="user_id", desc=True)
assert found.json["result"][0] == 1, found.json


def report(method, **params):
    """Its classes for reports are abstract in every release so far, and cannot be made: what they would call."""
    window = {"from": 0, "to": 10, "desc": False}
    return connection._call("report." + method, **connection._headers, **window, **params)["result"]


connections = report("getConnections", conds={"username": "py"}, sort_by="login_time")
assert connections["total_rows"] == 0, connections
changes = report("getCreditChanges", conds={"user_ids": str(user)}, sort_by="change_time")
assert [row["action_text"] for row in changes["report"]] == [
    "ADD_USER", "CHANGE_CREDIT", "RENEW_TRASH_REMAINING", "RENEW"], changes
assert "gold" in fresh().group.listGroups(isp_ids=[0], active_only=True).json["result"]
try:
    fresh().user.getUserInfo(normal_username="nobody")
    raise SystemExit("nobody was found")
except Exception as error:
    assert "NORMAL_USERNAME_DOESNT_EXISTS" in str(error), error
print("pyibsng is content")
