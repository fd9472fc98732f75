package bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.data.redis.connection.RedisConnectionFactory;
import org.springframework.data.redis.core.StringRedisTemplate;
import org.springframework.data.redis.listener.PatternTopic;
import org.springframework.data.redis.listener.RedisMessageListenerContainer;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.messaging.simp.SimpMessagingTemplate;

/** Kafka to Redis pub/sub to the broker, as the tutorials have it; values stay text, only the room is read. */
@Configuration
@ConditionalOnProperty("bench.topic")
class Pipeline {
  private final ObjectMapper json;
  private final StringRedisTemplate redis;

  Pipeline(ObjectMapper json, StringRedisTemplate redis) {
    this.json = json;
    this.redis = redis;
  }

  @KafkaListener(topics = "${bench.topic}", concurrency = "4")
  void relay(String value) throws JsonProcessingException {
    redis.convertAndSend("room:" + json.readTree(value).get("room").asText(), value);
  }

  @Bean
  RedisMessageListenerContainer listener(RedisConnectionFactory connections, SimpMessagingTemplate broker) {
    RedisMessageListenerContainer container = new RedisMessageListenerContainer();
    container.setConnectionFactory(connections);
    // One thread: the default, a new one for each message, is slower and keeps no order.
    container.setTaskExecutor(Executors.newSingleThreadExecutor());
    container.addMessageListener(
        (message, pattern) -> {
          String channel = new String(message.getChannel(), StandardCharsets.UTF_8);
          String body = new String(message.getBody(), StandardCharsets.UTF_8);
          broker.convertAndSend("/topic/" + channel.substring("room:".length()), body);
        },
        new PatternTopic("room:*"));
    return container;
  }
}
