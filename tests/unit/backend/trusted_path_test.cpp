// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/trusted_path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

#include "lib/backend/file_open.h"
#include "tests/unit/backend/lab.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::literals;
using namespace ballast::test;

namespace {

constexpr uid_t somebody = 12345;

ino_t inode_of(const std::string& path) {
  struct stat status {};
  assert_int_equal(::stat(path.c_str(), &status), 0);
  return status.st_ino;
}

// A folder with the file real/vol.
struct Site {
  Folder folder{"/dev/shm"};
  std::string real = folder.file("real/vol");
  Site() {
    std::filesystem::create_directory(folder.file("real"));
    std::ofstream{real};
  }
  std::string link(const char* name, const std::string& to, uid_t owner = ::geteuid()) const {
    const std::string path = folder.file(name);
    std::filesystem::create_symlink(to, path);
    if (owner != ::geteuid() && ::lchown(path.c_str(), owner, owner) != 0) {
      skip();
    }
    return path;
  }
  bool leads_to_vol(const std::string& path) const {
    const Result<PathEnd> end = follow(path);
    assert_true(end.ok() && end.value().file);
    const UniqueFd fd = open_end(end.value(), O_RDONLY);
    struct stat status {};
    assert_int_equal(::fstat(fd.get(), &status), 0);
    return status.st_ino == inode_of(real);
  }
};

int errno_of(const std::string& path) {
  const Result<PathEnd> end = follow(path);
  return end ? 0 : end.error().errno_value;
}

void links_of_root_lead_where_the_kernel_would_go(void**) {
  const Site site;
  site.link("absolute", site.real);
  site.link("relative", "real/vol");
  site.link("up", "real/../real/./vol");
  site.link("folder", "real");
  site.link("again", "folder//vol");
  for (const char* const name :
       {"real/vol", "absolute", "relative", "up", "folder/vol", "again", "folder/../real/vol"}) {
    assert_true(site.leads_to_vol(site.folder.file(name)));
  }
}

void somebodys_link_is_not_followed_wherever_it_is_on_the_way(void**) {
  const Site site;
  site.link("last", site.real, somebody);
  site.link("folder", "real", somebody);
  site.link("first", "folder/vol");
  for (const char* const name : {"last", "folder/vol", "first"}) {
    const Result<PathEnd> end = follow(site.folder.file(name));
    assert_false(end.ok());
    assert_int_equal(end.error().errno_value, EPERM);
    assert_true(end.error().message.find("belongs to user 12345") != std::string::npos);
  }
}

void what_is_not_there_has_a_folder_and_a_name(void**) {
  const Site site;
  const Result<PathEnd> end = follow(site.folder.file("real/new"));
  assert_true(end.ok());
  assert_false(static_cast<bool>(end.value().file));
  assert_string_equal(end.value().name.c_str(), "new");
  struct stat status {};
  assert_int_equal(::fstat(end.value().folder.get(), &status), 0);
  assert_int_equal(status.st_ino, inode_of(site.folder.file("real")));
}

void ways_that_lead_nowhere_end(void**) {
  const Site site;
  site.link("round", "round");
  assert_int_equal(errno_of(site.folder.file("round")), ELOOP);
  assert_int_equal(errno_of(site.folder.file("none/vol")), ENOENT);
  assert_int_equal(errno_of(site.folder.file("real/vol/deeper")), ENOTDIR);
  assert_int_equal(errno_of("/"), EISDIR);
}

void a_store_is_neither_opened_nor_made_over_somebodys_link(void**) {
  const Site site;
  std::filesystem::resize_file(site.real, 1 << 20);
  site.link("vol", site.real, somebody);
  site.link("folder", "real", somebody);
  for (const char* const name : {"vol", "folder/vol", "folder/new"}) {
    const FileConfig config = file_config(site.folder.file(name));
    const Result<void> checked = check_file(config);
    assert_false(checked.ok());
    assert_int_equal(checked.error().errno_value, EPERM);
    const Result<OpenFile> opened = open_file(config, 1_MiB, 512_B);
    assert_false(opened.ok());
    assert_int_equal(opened.error().errno_value, EPERM);
  }
  assert_false(std::filesystem::exists(site.folder.file("real/new")));
}

// Exchanges two names again and again, as the user who owns the folder can.
class Exchanging {
 public:
  Exchanging(std::string one, std::string other)
      : thread_{[this, one = std::move(one), other = std::move(other)] {
          while (!ends_) {
            BALLAST_ASSERT(
                ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0);
          }
        }} {}
  ~Exchanging() {
    ends_ = true;
    thread_.join();
  }
  Exchanging(const Exchanging&) = delete;
  Exchanging& operator=(const Exchanging&) = delete;

 private:
  std::atomic<bool> ends_{false};
  std::thread thread_;
};

// Opens the store while `with` takes the place of `place`, until both have been met often enough.
void open_while_exchanging(const Site& site, const std::string& place, const std::string& with) {
  const FileConfig config = file_config(site.folder.file("own/vol"));
  const ino_t forbidden = inode_of(site.real);
  const Exchanging exchanging{place, with};
  constexpr int enough = 2000;  // of each: the moment in which an exchange matters is short
  int opened = 0;
  int refused = 0;
  for (int i = 0; i < 1000000 && (opened < enough || refused < enough); ++i) {
    const Result<OpenFile> store = open_file(config, 1_MiB, 512_B);
    if (store) {
      ++opened;
      struct stat status {};
      assert_int_equal(::fstat(store.value().fd.get(), &status), 0);
      assert_int_not_equal(status.st_ino, forbidden);
    } else {
      ++refused;
    }
  }
  assert_true(opened >= enough);
  assert_true(refused >= enough);
}

void exchanging_files_or_folders_for_links_leads_to_no_other_file(void**) {
  const Site site;
  std::filesystem::resize_file(site.real, 1 << 20);
  std::filesystem::create_directory(site.folder.file("own"));
  const std::string own = site.folder.file("own/vol");
  std::ofstream{own};
  std::filesystem::resize_file(own, 1 << 20);
  open_while_exchanging(site, own, site.link("to_file", site.real, somebody));
  std::filesystem::remove_all(site.folder.file("own"));
  std::filesystem::remove_all(site.folder.file("to_file"));
  std::filesystem::create_directory(site.folder.file("own"));
  std::ofstream{own};
  std::filesystem::resize_file(own, 1 << 20);
  open_while_exchanging(site, site.folder.file("own"), site.link("to_folder", "real", somebody));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(links_of_root_lead_where_the_kernel_would_go),
      cmocka_unit_test(somebodys_link_is_not_followed_wherever_it_is_on_the_way),
      cmocka_unit_test(what_is_not_there_has_a_folder_and_a_name),
      cmocka_unit_test(ways_that_lead_nowhere_end),
      cmocka_unit_test(a_store_is_neither_opened_nor_made_over_somebodys_link),
      cmocka_unit_test(exchanging_files_or_folders_for_links_leads_to_no_other_file),
  };
  return cmocka_run_group_tests_name("trusted_path", tests, nullptr, nullptr);
}
