// SPDX-License-Identifier: Apache-2.0
// ballast-exporter: serves what `ballastctl metrics` prints over HTTP, a page for people, and
// whether the plugin answers. Its manual is ballast-exporter(8).
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <clocale>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include "lib/base/version.h"
#include "targetcli-config/ballastctl/text/output.h"
#include "targetcli-config/exporter/address.h"
#include "targetcli-config/exporter/exporter.h"
#include "targetcli-config/exporter/http_server.h"

namespace ballast::exporter {
namespace {

// Ends the process at SIGTERM or SIGINT, without waiting for answers that may take seconds, or for
// threads that may hang.
[[noreturn]] void serve_until_told(const sigset_t& ends) {
  int signal = 0;
  sigwait(&ends, &signal);
  ::_exit(ctl::exit_ok);
}

int run(int argc, char** argv) {
  CLI::App app{
      "Serves the metrics of Ballast's LUNs for Prometheus, and a page that shows the LUNs.\nExit: "
      "0 ended by SIGTERM, 1 failed, 2 wrong use. ballast-exporter(8) is the manual.",
      "ballast-exporter"};
  app.failure_message([](const CLI::App* of, const CLI::Error& error) {
    return "ballast-exporter: " + CLI::FailureMessage::simple(of, error);
  });
  app.set_version_flag("--version", fmt::format("ballast-exporter {}", version));
  std::string listen = "127.0.0.1:9728";
  app.add_option("--listen", listen, "where to serve; port 0: any that is free")
      ->type_name("ADDRESS:PORT")
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? ctl::exit_ok : ctl::exit_usage;
  }
  const Result<Address> address = parse_address(listen);
  if (!address) {
    fmt::print(stderr, "ballast-exporter: {}\n", address.error().message);
    return ctl::exit_usage;
  }
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);  // for the server's threads, too
  Exporter exporter;
  const Result<std::unique_ptr<HttpServer>> server = HttpServer::start(
      address.value(), [&exporter](std::string_view path) { return exporter.answer(path); });
  if (!server) {
    fmt::print(stderr, "ballast-exporter: {}\n", server.error().message);
    return ctl::exit_failed;
  }
  fmt::print(stderr, "ballast-exporter: listens on http://{}/\n", server.value()->address().text());
  serve_until_told(ends);
}

}  // namespace
}  // namespace ballast::exporter

int main(int argc, char** argv) {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  try {
    return ballast::exporter::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "ballast-exporter: {}\n", error.what());
    return ballast::ctl::exit_failed;
  }
}
