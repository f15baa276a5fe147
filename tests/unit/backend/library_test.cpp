// SPDX-License-Identifier: Apache-2.0
// What an operator is told if a library is missing. This program runs itself with a folder on the
// loader's path in which the library is an empty file.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <string_view>

#include "lib/backend/nbd_library.h"
#include "lib/backend/rbd_library.h"
#include "tests/unit/backend/lab.h"

#include "tests/cmocka.h"

using namespace ballast::backend;
using ballast::test::Folder;

namespace {

// What loading `kind` says while this library cannot be loaded.
std::string said(const std::string& library, const char* kind) {
  const Folder folder;
  std::ofstream{folder.file(library.c_str())}.flush();
  const std::string command = "LD_LIBRARY_PATH=" + folder.path() + " " +
                              std::filesystem::read_symlink("/proc/self/exe").string() + " " + kind;
  std::FILE* const output = ::popen(command.c_str(), "re");
  assert_non_null(output);
  std::string text(4096, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), output));
  assert_int_equal(::pclose(output), 0);
  return text;
}

void expect(const char* library, const char* kind, std::initializer_list<const char*> words) {
  const std::string text = said(library, kind);
  for (const char* each : words) {
    if (text.find(each) == std::string::npos) {
      print_error("%s: \"%s\" does not say \"%s\"\n", library, text.c_str(), each);
      assert_true(false);
    }
  }
}

void a_missing_library_has_a_sentence_that_names_the_package(void**) {
  expect("librados.so.2", "rbd",
         {"needs librados.so.2, which cannot be loaded", "install the package librados2"});
  expect("librbd.so.1", "rbd",
         {"needs librbd.so.1, which cannot be loaded", "install the package librbd1"});
  expect("libnbd.so.0", "nbd",
         {"cannot load the NBD client library libnbd.so.0", "package libnbd0"});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2) {
    const std::string text = std::string_view{argv[1]} == "rbd" ? rbd_library().error().message
                                                                : nbd_library().error().message;
    std::puts(text.c_str());
    return 0;
  }
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_missing_library_has_a_sentence_that_names_the_package),
  };
  return cmocka_run_group_tests_name("library", tests, nullptr, nullptr);
}
