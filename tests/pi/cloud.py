"""The cloud: a real mosquitto on the host's loopback that can be stopped and started, and somebody who listens there."""

import socket
import subprocess

import mqtt
import stage


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Cloud:
    def __init__(self, folder):
        self.folder, self.port, self.broker = folder, free_port(), None
        # What it has acknowledged and not yet delivered survives a stop. Started by root, it would take the rights of
        # a user that cannot write here.
        settings = ["persistence true", f"persistence_location {folder}/", f"log_dest file {folder}/mosquitto.log",
                    f"listener {self.port} 127.0.0.1", "allow_anonymous true", "max_queued_messages 0", "user root"]
        (folder / "mosquitto.conf").write_text("\n".join(settings) + "\n")
        self.start()
        self.listener = mqtt.Client(self.port, "listener", ["sites/#"]).ready()

    def configuration(self):
        """That of the gateway inside, which reaches the host at this address."""
        return (stage.HERE / "weir.toml").read_text().replace("CLOUD", f"10.0.2.2:{self.port}").encode()

    def start(self):
        self.broker = subprocess.Popen(["mosquitto", "-c", str(self.folder / "mosquitto.conf")],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        self.broker.terminate()
        self.broker.wait(60)

    def close(self):
        self.listener.close()
        if self.broker.poll() is None:
            self.stop()
