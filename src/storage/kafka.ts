import { Kafka, UpstashError } from '@upstash/kafka';
import type { KafkaRecord } from '../pipeline/kafka/binding.ts';
