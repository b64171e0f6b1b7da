"""Pin Kafka's jars anew: `python -m simulator.broker.lock > simulator/broker/jars.lock`.

In:      the version of Kafka to run, of the log4j binding it needs, and what a broker never loads.
Out:     one line for each jar: SHA-256, bytes, coordinate.
Errors:  any, with a stack trace: a tool for whoever moves to another Kafka.
Source:  jgo resolves Kafka's own dependencies as Maven does. Kafka comes without a binding for its logs, and the
         binding is not resolved together with it: log4j's parent manages kafka-clients to 3.9.1, which would win.
"""

import hashlib
import sys
import tempfile
from pathlib import Path

from jgo.maven import MavenContext
from jgo.parse import Endpoint

from simulator.broker.jars import MAVEN_CENTRAL

KAFKA = "org.apache.kafka:kafka_2.13:4.3.1"
LOG_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"
NEVER_LOADED = {"scala-reflect"}  # 4 MB; all codecs stay, since the broker opens what clients compressed


def lock_lines() -> list[str]:
    """The lines of jars.lock, sorted by coordinate, which is also the order of the class path."""
    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(
            repo_cache=Path(folder), local_repos=[], remote_repos={"central": MAVEN_CENTRAL}, timeout=30
        )
        wanted = [context.create_dependency(each) for each in Endpoint.parse(KAFKA).coordinates]
        inputs, transitive = context.resolver.resolve(wanted)
        artifacts = {
            f"{each.groupId}:{each.artifactId}:{each.version}": each.artifact
            for each in [*inputs, *transitive]
            if each.scope in (None, "compile", "runtime") and each.artifactId not in NEVER_LOADED
        }
        artifacts[LOG_BINDING] = context.create_dependency(LOG_BINDING).artifact
        return [_line(coordinate, artifacts[coordinate].resolve()) for coordinate in sorted(artifacts)]


def _line(coordinate: str, jar: Path) -> str:
    return f"{hashlib.sha256(jar.read_bytes()).hexdigest()} {jar.stat().st_size} {coordinate}"


if __name__ == "__main__":
    sys.stdout.write("\n".join(lock_lines()) + "\n")
