import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.http.HttpServerTransport;
import org.opensearch.ingest.common.IngestCommonPlugin;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.Plugin;
import org.opensearch.transport.Netty4Plugin;

/** A node of OpenSearch in a folder, on a free port of this machine. It prints its address, and ends with its input. */
final class SearchNode extends Node {
  private SearchNode(Environment environment, List<Class<? extends Plugin>> plugins) {
    super(environment, plugins, false);
  }

  public static void main(String[] folder) throws Exception {
    Settings settings = Settings.builder()
      .put("path.home", Path.of(folder[0]).toString())
      .put("node.name", "test")
      .put("cluster.name", "test")
      .put("network.host", "127.0.0.1")
      .put("http.port", "0")
      .put("transport.port", "0")
      .put("http.type", "netty4")
      .put("transport.type", "netty4")
      .put("discovery.type", "single-node")
      .put("cluster.routing.allocation.disk.threshold_enabled", false)
      .build();
    Environment environment = InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "test");
    try (SearchNode node = new SearchNode(environment, List.of(Netty4Plugin.class, IngestCommonPlugin.class))) {
      node.start();
      var transport = node.injector().getInstance(HttpServerTransport.class);
      System.out.println(transport.boundAddress().publishAddress());
      while (System.in.read() != -1) {}
    }
  }
}
