"""Calls a server as the PHP clients of XML-RPC do: one struct, /xmlrpc or /RPC2 or /, faults for errors."""
import sys
import xmlrpc.client

url, password = sys.argv[1], sys.argv[2]
auth = {"auth_type": "ADMIN", "auth_name": "system", "auth_pass": password}
for path in ["/xmlrpc", "/RPC2", "/"]:
    server = xmlrpc.client.ServerProxy(url + path)
    assert server.group.listGroups(dict(auth)) == ["gold"]
made = server.user.addNewUsers(dict(auth, count=2, credit=1.5, owner_name="system", group_name="gold", credit_comment=""))
names = {"normal_username": "x{1-2}", "normal_password": "p<&>", "normal_generate_password": 0, "normal_generate_password_len": 0, "normal_save_usernames": True}
ids = ",".join(map(str, made))
assert server.user.updateUserAttrs(dict(auth, user_id=ids, attrs=names, to_del_attrs={})) == ""
found = server.user.searchUser(dict(auth, conds={"normal_username": "x2"}, **{"from": 0, "to": 10, "order_by": "user_id", "desc": False}))
assert found == [1, 1.5, made[1:]], found
info = server.user.getUserInfo(dict(auth, normal_username="x1"))[str(made[0])]
assert info["attrs"]["normal_password"] == "p<&>", info
assert info["basic_info"]["credit"] == 1.5, info
try:
    server.user.getUserInfo(dict(auth, normal_username="nobody"))
    raise SystemExit("nobody was found")
except xmlrpc.client.Fault as fault:
    assert fault.faultCode == 1, fault
    assert fault.faultString == "NORMAL_USERNAME_DOESNT_EXISTS|User with Internet username nobody does not exists", fault
assert server.user.delUser(dict(auth, user_id=ids, delete_comment="", del_connection_logs=True, del_audit_logs=True)) == ""
print("XML-RPC is content")
