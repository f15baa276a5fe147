// SPDX-License-Identifier: Apache-2.0
// Settings of an NBD server that do not fit together, and how servers are named in messages.
#include <string>

#include "lib/backend/nbd_config.h"
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;

namespace {

std::string refusal(const NbdConfig& config) {
  const Result<void> result = check_settings(config);
  return result ? "accepted" : result.error().message;
}

bool says(const std::string& message, const char* part) {
  return message.find(part) != std::string::npos;
}

void usual_settings_are_accepted(void**) {
  assert_string_equal(refusal({.server = "storage.example"}).c_str(), "accepted");
  assert_string_equal(refusal({.server = "/run/x.sock", .connections = 4}).c_str(), "accepted");
  assert_string_equal(
      refusal({.server = "h", .tls = NbdConfig::Tls::require, .tls_psk_file = "/k"}).c_str(),
      "accepted");
  assert_string_equal(refusal({.server = "h", .exclusive = NbdConfig::Exclusive::server}).c_str(),
                      "accepted");
}

void tls_and_its_key_belong_together(void**) {
  assert_true(says(refusal({.server = "h", .tls = NbdConfig::Tls::require}), "tls_psk_file=/path"));
  assert_true(says(refusal({.server = "h", .tls_psk_file = "/k"}), "add tls=require"));
}

void a_socket_has_no_port_and_a_path_that_fits(void**) {
  assert_true(says(refusal({.server = "/run/x.sock", .port = 7}), "port=7"));
  assert_true(says(refusal({.server = "/" + std::string(107, 'a')}), "too long"));
  assert_string_equal(refusal({.server = "/" + std::string(106, 'a')}).c_str(), "accepted");
}

void an_exclusive_server_serves_one_connection(void**) {
  assert_true(
      says(refusal({.server = "h", .connections = 2, .exclusive = NbdConfig::Exclusive::server}),
           "connections=2"));
}

void messages_name_server_and_export(void**) {
  assert_string_equal(describe({.server = "h", .port = 7, .export_name = "a:b"}).c_str(),
                      "export \"a:b\" of h port 7");
  assert_string_equal(describe({.server = "/run/x"}).c_str(), "the default export of /run/x");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(usual_settings_are_accepted),
      cmocka_unit_test(tls_and_its_key_belong_together),
      cmocka_unit_test(a_socket_has_no_port_and_a_path_that_fits),
      cmocka_unit_test(an_exclusive_server_serves_one_connection),
      cmocka_unit_test(messages_name_server_and_export),
  };
  return cmocka_run_group_tests_name("nbd config", tests, nullptr, nullptr);
}
