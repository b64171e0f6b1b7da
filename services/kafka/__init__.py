"""All that speaks Kafka. Its connections know a broken one by whatever the event loop says of it."""

from services.kafka.lost_writes import install

install()
