// SPDX-License-Identifier: Apache-2.0
// The names of an image in a configuration string, and keys that contradict each other.
#include "lib/backend/rbd_config.h"

#include <cerrno>
#include <cstring>
#include <string>

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;

namespace {

RbdName name_of(const char* text) {
  return parse_rbd_name("the image", text).value();
}

void expect_refusal(const char* text, const char* words) {
  const Result<RbdName> name = parse_rbd_name("the image", text);
  if (name || name.error().message.find(words) == std::string::npos) {
    print_error("%s: %s\n", text, name ? "accepted" : name.error().message.c_str());
    assert_true(false);
  }
  assert_int_equal(name.error().errno_value, EINVAL);
}

void a_target_names_pool_and_image(void**) {
  const RbdName name = name_of("disks/vol0");
  assert_string_equal(name.pool.c_str(), "disks");
  assert_string_equal(name.image.c_str(), "vol0");
  assert_true(name.name_space.empty() && name.snapshot.empty());
}

void a_target_may_name_a_namespace_and_a_snapshot(void**) {
  const RbdName name = name_of("disks/team/vol0@monday");
  assert_string_equal(name.name_space.c_str(), "team");
  assert_string_equal(name.image.c_str(), "vol0");
  assert_string_equal(name.snapshot.c_str(), "monday");
}

void any_character_can_be_written_as_a_number(void**) {
  const RbdName name = name_of("a%2cb/c%3Ad%2Fe@100%25%40");
  assert_string_equal(name.pool.c_str(), "a,b");
  assert_string_equal(name.image.c_str(), "c:d/e");
  assert_string_equal(name.snapshot.c_str(), "100%@");
}

void bad_targets_are_refused(void**) {
  expect_refusal("vol0", "names no pool");
  expect_refusal("a/b/c/d", "too many parts");
  expect_refusal("a/b@c@d", "too many parts");
  expect_refusal("/b", "a name is empty");
  expect_refusal("a//b", "a name is empty");
  expect_refusal("a/b@", "a name is empty");
  expect_refusal("a/100%", "%25");
  expect_refusal("a/b%2", "write %25");
  expect_refusal("a/b%zz", "write %25");
  expect_refusal("a/b%00c", "not printable");
}

void an_id_has_no_client_in_front(void**) {
  RbdConfig config;
  const config::Keys keys = keys_of(config);
  const Result<void> id = config::assign(*config::find(keys, "id"), "key id", "client.admin");
  assert_false(id.ok());
  assert_non_null(std::strstr(id.error().message.c_str(), "write only what follows it"));
}

void a_passphrase_belongs_to_an_encrypted_image(void**) {
  RbdConfig config;
  assert_true(check_keys(config).ok());
  config.encryption = RbdEncryption::luks2;
  assert_false(check_keys(config).ok());
  config.passphrase_file = "/p";
  assert_true(check_keys(config).ok());
  config.encryption = RbdEncryption::none;
  assert_false(check_keys(config).ok());
}

void a_snapshot_cannot_stand_by(void**) {
  RbdConfig config;
  config.lock = RbdLock::standby;
  config.image = "disks/vol0";
  assert_true(check_keys(config).ok());
  config.image = "disks/vol0@monday";
  const Result<void> refused = check_keys(config);
  assert_false(refused.ok());
  assert_non_null(std::strstr(refused.error().message.c_str(), "a snapshot cannot be owned"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_target_names_pool_and_image),
      cmocka_unit_test(a_target_may_name_a_namespace_and_a_snapshot),
      cmocka_unit_test(any_character_can_be_written_as_a_number),
      cmocka_unit_test(bad_targets_are_refused),
      cmocka_unit_test(an_id_has_no_client_in_front),
      cmocka_unit_test(a_passphrase_belongs_to_an_encrypted_image),
      cmocka_unit_test(a_snapshot_cannot_stand_by),
  };
  return cmocka_run_group_tests_name("rbd_config", tests, nullptr, nullptr);
}
