"""A real Jupyter kernel that runs a line, as a notebook's cell does, and is interrupted, as by the notebook's button.

    kernel.py LINE

Interrupts when a line comes on standard input; prints what the cell printed once the kernel is idle again.
"""

import sys

from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name="python3")
try:
    asked = client.execute(sys.argv[1])
    sys.stdin.readline()
    manager.interrupt_kernel()
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != asked:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            sys.stdout.write(content["text"])
        if kind == "status" and content["execution_state"] == "idle":
            break
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
