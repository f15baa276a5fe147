// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd_keyring.h"

#include <fstream>
#include <string>

#include "tests/unit/backend/lab.h"

#include "tests/cmocka.h"

using namespace ballast::backend;
using ballast::test::Folder;

namespace {

std::string keyring(const Folder& folder, const char* name, const char* text) {
  std::ofstream{folder.file(name)} << text;
  return folder.file(name);
}

bool has(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

void the_first_file_that_exists_counts(void**) {
  const Folder folder;
  const std::string good = keyring(folder, "good", "  [client.a]\n\tkey = x\n[client.b]\n");
  const std::string bad = keyring(folder, "bad", "[client.ab]\n# [client.a]\n");
  const std::string missing = folder.file("missing");
  assert_true(keyring_trouble(good, "a").empty());
  assert_true(keyring_trouble(missing + "," + good + ", " + bad, "b").empty());
  assert_true(has(keyring_trouble(bad + "," + good, "a"), bad + " has no key of client.a"));
  assert_true(has(keyring_trouble(missing + ",/nonexistent/x", "a"),
                  "looked for " + missing + ", /nonexistent/x"));
  assert_true(has(keyring_trouble("", "a"), "no keyring with client.a"));
}

void what_cannot_be_read_is_named(void**) {
  const Folder folder;
  assert_true(
      has(keyring_trouble(folder.path(), "a"), folder.path() + " cannot be read: Is a dir"));
  const std::string loop = folder.file("loop");
  std::filesystem::create_symlink(loop, loop);
  assert_true(has(keyring_trouble(loop, "a"), loop + " cannot be read: "));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_first_file_that_exists_counts),
      cmocka_unit_test(what_cannot_be_read_is_named),
  };
  return cmocka_run_group_tests_name("rbd keyring", tests, nullptr, nullptr);
}
