// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/elsewhere.h"

#include <fmt/format.h>
#include <glib.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "targetcli-config/ballastctl/text/output.h"
#include "targetcli-config/ballastctl/text/table.h"

namespace ballast::ctl {
namespace {

constexpr std::string_view short_option = "-H";
constexpr std::string_view long_option = "--host";

// ssh must not take it for an option, nor a shell that ssh starts (ProxyCommand) for more than a
// word. "root@gateway-1", "ssh://gateway:2222", "[fe80::1%eth0]".
bool is_host(std::string_view text) {
  constexpr std::string_view signs = "._-@:/[]%+";
  const bool plain = std::ranges::all_of(text, [&](char character) {
    return g_ascii_isalnum(character) != FALSE || signs.find(character) != std::string_view::npos;
  });
  return plain && !text.empty() && !text.starts_with('-') &&
         text.find("@-") == std::string_view::npos;
}

int wrong_use(const std::string& sentence) {
  fmt::print(stderr, "ballastctl: {}\nRun with --help for more information.\n", sentence);
  return exit_usage;
}

// What the shell of the other machine is to run.
std::string remote_command(const std::vector<std::string>& arguments) {
  std::string command = "ballastctl";
  if (const std::optional<std::size_t> width = terminal_width()) {
    command = fmt::format("env COLUMNS={} ballastctl", *width);
  }
  for (const std::string& argument : arguments) {
    g_autofree gchar* quoted = g_shell_quote(argument.c_str());
    command += fmt::format(" {}", quoted);
  }
  return command;
}

}  // namespace

Elsewhere parse_host(int argc, char** argv) {
  Elsewhere elsewhere;
  std::vector<std::string> words(argv + 1, argv + std::max(argc, 1));
  if (words.empty()) {
    return elsewhere;
  }
  const std::string first = words.front();
  std::size_t taken = 1;
  if (first == short_option || first == long_option) {
    elsewhere.host = words.size() > 1 ? words[1] : "";
    taken = std::min<std::size_t>(words.size(), 2);
  } else if (first.starts_with(short_option)) {
    elsewhere.host = first.substr(short_option.size());
  } else if (first.starts_with(std::string{long_option} + "=")) {
    elsewhere.host = first.substr(long_option.size() + 1);
  } else {
    return elsewhere;
  }
  elsewhere.asked = true;
  elsewhere.arguments.assign(words.begin() + static_cast<std::ptrdiff_t>(taken), words.end());
  return elsewhere;
}

void add_host_option(CLI::App& app) {
  app.add_option_function<std::string>(
         std::string{short_option} + "," + std::string{long_option},
         [](const std::string& host) {
           throw CLI::ValidationError{
               fmt::format("-H {} must come first, before the subcommand", printable(host))};
         },
         "must come first: run the command on this machine, through ssh")
      ->type_name("HOST");
}

int run_elsewhere(const Elsewhere& elsewhere) {
  if (!is_host(elsewhere.host)) {
    return wrong_use(fmt::format(
        "-H \"{}\": give the name or address of a machine, as ssh takes it: root@gateway-1",
        printable(elsewhere.host)));
  }
  if (elsewhere.arguments.empty()) {
    return wrong_use(fmt::format("-H {}: a subcommand is required", elsewhere.host));
  }
  // The first "--" ends ssh's options before the host; ssh looks for options behind it, too.
  const std::string command = remote_command(elsewhere.arguments);
  ::execlp("ssh", "ssh", "--", elsewhere.host.c_str(), "--", command.c_str(),
           static_cast<char*>(nullptr));
  fmt::print(stderr,
             "ballastctl: -H {} needs ssh, which cannot be run: {} (Debian: apt-get install "
             "openssh-client)\n",
             elsewhere.host, std::strerror(errno));
  return exit_failed;
}

}  // namespace ballast::ctl
